//! What is changed, and how it is compiled in. Comparisons, sums and `&&` and `||` become their neighbours, `!` is
//! taken away, guards of match arms always or never hold, and functions with a plain answer give that at once.
//!
//! Everything is done by inserting text before and behind an expression: the original stays where it was, and the
//! changed one stands before it in the other branch of an `if` that asks for the mutant's number.

use proc_macro2::Span;
use std::{fmt, ops::Range};
use syn::{spanned::Spanned, visit::Visit};

/// One change.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// What chooses it.
    pub number: u32,
    /// Part of the product.
    pub part: &'static str,
    /// The file, relative to the workspace.
    pub file: String,
    /// Line in it.
    pub line: usize,
    /// The function that it is in.
    pub function: String,
    /// What is done, in words.
    pub what: String,
    /// Which one it is of those that do the same in a function of this name, as they are found, from 1.
    pub nth: usize,
    /// What is inserted where: offset, order among those of the same offset, text.
    pub inserts: Vec<(usize, i64, String)>,
}

impl Mutant {
    /// What it is known by between runs. Numbers and lines shift with every change before them in the text; this holds
    /// until the function itself changes.
    pub fn name(&self) -> String {
        format!("{} {} {}: {}", self.part, self.file, self.place(), self.what)
    }

    fn place(&self) -> String {
        if self.nth == 1 { self.function.clone() } else { format!("{}#{}", self.function, self.nth) }
    }
}

impl fmt::Display for Mutant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}: {} in {}", self.number, self.file, self.line, self.what, self.place())
    }
}

/// All mutants of a file; their numbers begin with `next`.
pub fn mutants(part: &'static str, file: &str, source: &str, next: u32) -> anyhow::Result<Vec<Mutant>> {
    let parsed = syn::parse_file(source)?;
    let is_of = if file.starts_with("cluster/") { "crate" } else { "cluster" };
    let mut finder =
        Finder { part, file, source, is_of, next, found: Vec::new(), depth: 0, function: String::new() };
    finder.visit_file(&parsed);
    Ok(finder.found)
}

struct Finder<'a> {
    part: &'static str,
    file: &'a str,
    source: &'a str,
    is_of: &'a str,
    next: u32,
    found: Vec<Mutant>,
    depth: i64,
    function: String,
}

/// What begins a bug that is planted on purpose: false here, and so is what hangs on it.
const PLANTED: &str = "::planted!(";

/// Operators and what they become.
const NEIGHBOURS: &[(&str, &[&str])] = &[
    ("==", &["!="]),
    ("!=", &["=="]),
    ("<", &["<=", ">"]),
    ("<=", &["<", ">"]),
    (">", &[">=", "<"]),
    (">=", &[">", "<"]),
    ("&&", &["||"]),
    ("||", &["&&"]),
    ("+", &["-"]),
    ("-", &["+"]),
    ("*", &["+"]),
    ("/", &["*"]),
    ("%", &["+"]),
    ("+=", &["-="]),
    ("-=", &["+="]),
    ("|=", &["&="]),
    ("&=", &["|="]),
];

fn is_test(attributes: &[syn::Attribute]) -> bool {
    let text = |attribute: &syn::Attribute| match &attribute.meta {
        syn::Meta::List(list) => list.path.is_ident("cfg") && list.tokens.to_string().contains("test"),
        meta => meta.path().is_ident("test"),
    };
    attributes.iter().any(text)
}

/// Whether a `let` is one of the conditions.
fn has_let(expr: &syn::Expr) -> bool {
    match expr {
        syn::Expr::Let(_) => true,
        syn::Expr::Binary(binary) => has_let(&binary.left) || has_let(&binary.right),
        syn::Expr::Paren(inner) => has_let(&inner.expr),
        _ => false,
    }
}

impl Finder<'_> {
    /// A mutant that inserts a text at the beginning of a range, and one at its end unless that is empty. `before` is
    /// given what asks whether this mutant is chosen.
    fn add(
        &mut self,
        at: Span,
        what: String,
        range: Range<usize>,
        before: impl Fn(&str) -> String,
        after: &str,
    ) {
        let number = self.next;
        self.next += 1;
        // Outer ones open first and close last.
        self.depth += 1;
        let (part, file, line) = (self.part, self.file.to_owned(), at.start().line);
        let function = self.function.clone();
        let alike = self.found.iter().filter(|one| one.function == function && one.what == what);
        let nth = 1 + alike.count();
        let before = before(&format!("{}::mutation::is({number})", self.is_of));
        let mut inserts = vec![(range.start, self.depth, before)];
        if !after.is_empty() {
            inserts.push((range.end, -self.depth, after.to_owned()));
        }
        self.found.push(Mutant { number, part, file, line, function, what, nth, inserts });
    }

    fn text(&self, span: Span) -> &str {
        &self.source[span.byte_range()]
    }

    fn answers(&self, output: &syn::ReturnType) -> Vec<String> {
        let of = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let syn::ReturnType::Type(_, answer) = output else { return of(&["()"]) };
        let text = self.text(answer.span()).to_owned();
        match text.as_str() {
            "bool" => of(&["true", "false"]),
            "u8" | "u16" | "u32" | "u64" | "usize" | "i64" | "Micros" => of(&["0", "1"]),
            "String" => of(&["String::new()"]),
            "Duration" => of(&["Duration::ZERO"]),
            _ if text.starts_with("Option<") => of(&["None"]),
            _ if text.starts_with("Vec<") => of(&["Vec::new()"]),
            _ if text.starts_with("Result<()") => of(&["Ok(())"]),
            _ if text.starts_with("Result<bool") => of(&["Ok(true)", "Ok(false)"]),
            _ => Vec::new(),
        }
    }

    fn function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        if signature.constness.is_some() || signature.ident == "fmt" || block.stmts.is_empty() {
            return;
        }
        let outer = std::mem::replace(&mut self.function, signature.ident.to_string());
        let begin = block.brace_token.span.open().byte_range().end;
        let whole = self.text(block.span()).trim_matches(['{', '}', ' ', '\n']).to_owned();
        for answer in self.answers(&signature.output) {
            if whole == answer {
                continue;
            }
            let what = format!("answers {answer} at once");
            let before = |chosen: &str| format!(" if {chosen} {{ return {answer}; }}");
            self.add(signature.span(), what, begin..begin, before, "");
        }
        syn::visit::visit_block(self, block);
        self.function = outer;
    }
}

impl<'ast> Visit<'ast> for Finder<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) {
            syn::visit::visit_item_mod(self, item);
        }
    }
    fn visit_item_const(&mut self, _: &'ast syn::ItemConst) {}
    fn visit_item_static(&mut self, _: &'ast syn::ItemStatic) {}
    fn visit_impl_item_const(&mut self, _: &'ast syn::ImplItemConst) {}
    fn visit_type(&mut self, _: &'ast syn::Type) {}
    fn visit_pat(&mut self, _: &'ast syn::Pat) {}
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }
    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        if !is_test(&item.attrs) {
            self.function(&item.sig, &item.block);
        }
    }

    fn visit_expr_binary(&mut self, expr: &'ast syn::ExprBinary) {
        let (left, right) = (self.text(expr.left.span()).to_owned(), self.text(expr.right.span()).to_owned());
        let operator = self.text(expr.op.span()).to_owned();
        let is_nothing = ["+", "-"].contains(&operator.as_str()) && right.contains(PLANTED);
        if is_nothing || (left.contains(PLANTED) && !left.starts_with('!')) {
            return;
        }
        let neighbours = NEIGHBOURS.iter().find(|(from, _)| *from == operator).map_or(&[][..], |(_, to)| to);
        let with_let = has_let(&expr.left) || has_let(&expr.right);
        for to in neighbours.iter().filter(|_| !with_let) {
            let before = |chosen: &str| format!("(if {chosen} {{ ({left}) {to} ({right}) }} else {{ ");
            let what = format!("{operator} becomes {to}");
            self.add(expr.op.span(), what, expr.span().byte_range(), before, " })");
        }
        syn::visit::visit_expr_binary(self, expr);
    }

    fn visit_expr_unary(&mut self, expr: &'ast syn::ExprUnary) {
        if matches!(expr.op, syn::UnOp::Not(_)) && !self.text(expr.expr.span()).contains(PLANTED) {
            let before = |chosen: &str| format!("({chosen} ^ ");
            self.add(expr.op.span(), "! is taken away".to_owned(), expr.span().byte_range(), before, ")");
        }
        syn::visit::visit_expr_unary(self, expr);
    }

    fn visit_arm(&mut self, arm: &'ast syn::Arm) {
        if let Some((_, guard)) = &arm.guard
            && !has_let(guard)
            && !self.text(guard.span()).contains(PLANTED)
        {
            let (at, range) = (guard.span(), guard.span().byte_range());
            let always = |chosen: &str| format!("({chosen} || (");
            self.add(at, "a guard always holds".to_owned(), range.clone(), always, "))");
            let never = |chosen: &str| format!("(!{chosen} && (");
            self.add(at, "a guard never holds".to_owned(), range, never, "))");
        }
        syn::visit::visit_arm(self, arm);
    }
}
