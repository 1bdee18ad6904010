//! Just enough of Rust's grammar: code without its comments and texts, the length of functions, what only tests use.

use super::tree::Tree;
use std::ops::Range;

/// The text with comments and the insides of literals blanked; lines and columns stay where they are.
pub fn code(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while at < chars.len() {
        let end = blank_end(&chars, at);
        if end == at {
            out.push(chars[at]);
            at += 1;
        } else {
            out.extend(chars[at..end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
            at = end;
        }
    }
    out
}

/// Where the comment or literal that begins here ends; `at` where none begins.
fn blank_end(chars: &[char], at: usize) -> usize {
    let begins = |text: &str| text.chars().zip(&chars[at..]).filter(|(a, b)| a == *b).count() == text.len();
    let after_word = at > 0 && (chars[at - 1].is_alphanumeric() || chars[at - 1] == '_');
    if begins("//") {
        return chars[at..].iter().position(|c| *c == '\n').map_or(chars.len(), |n| at + n);
    }
    if begins("/*") {
        return block_end(chars, at);
    }
    match chars[at] {
        '"' => quoted_end(chars, at + 1, '"'),
        '\'' if begins("'\\") => quoted_end(chars, at + 1, '\''),
        '\'' if chars.get(at + 2) == Some(&'\'') => at + 3,
        'r' | 'b' | 'c' if !after_word => raw_end(chars, at).unwrap_or(at),
        _ => at,
    }
}

fn block_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at + 1 < chars.len() {
        match (chars[at], chars[at + 1]) {
            ('/', '*') => (depth, at) = (depth + 1, at + 2),
            ('*', '/') => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            return at;
        }
    }
    chars.len()
}

/// The end of a literal with escapes, from behind its opening quote.
fn quoted_end(chars: &[char], from: usize, quote: char) -> usize {
    let mut at = from;
    while at < chars.len() && chars[at] != quote {
        at += if chars[at] == '\\' { 2 } else { 1 };
    }
    chars.len().min(at + 1)
}

/// The end of `r"…"`, `r#"…"#`, `br"…"` and the like; `None` where none begins.
fn raw_end(chars: &[char], from: usize) -> Option<usize> {
    let rest = &chars[from..];
    let prefix = if rest[0] == 'r' { 1 } else { 2 };
    if prefix == 2 && rest.get(1) != Some(&'r') {
        return None;
    }
    let hashes = rest.get(prefix..)?.iter().take_while(|c| **c == '#').count();
    let open = prefix + hashes;
    if rest.get(open) != Some(&'"') {
        return None;
    }
    let close: Vec<char> = std::iter::once('"').chain(std::iter::repeat_n('#', hashes)).collect();
    let length = rest[open + 1..].windows(close.len()).position(|window| window == close)?;
    Some(from + open + 1 + length + close.len())
}

/// Byte ranges of a word in code: not of longer words that contain it.
pub fn words<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let (before, after) = (&code[..*at], &code[at + word.len()..]);
        !before.chars().next_back().is_some_and(part) && !after.chars().next().is_some_and(part)
    })
}

/// The line of a byte, from 1.
pub fn line_of(code: &str, at: usize) -> usize {
    code[..at].matches('\n').count() + 1
}

/// From the byte `from` to the end of the item there: its `;` or the brace that closes its first block.
pub fn item_end(code: &str, from: usize) -> usize {
    let (mut inside, mut braces) = (0, 0);
    for (at, byte) in code.bytes().enumerate().skip(from) {
        match byte {
            b'(' | b'[' => inside += 1,
            b')' | b']' => inside -= 1,
            b'{' => braces += 1,
            b'}' if braces == 1 => return at + 1,
            b'}' => braces -= 1,
            b';' if inside == 0 && braces == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Name and bytes of every function with a body.
pub fn functions(code: &str) -> Vec<(&str, Range<usize>)> {
    let mut found = Vec::new();
    for at in words(code, "fn") {
        let after = code[at + 2..].trim_start();
        let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        if !name.is_empty() {
            found.push((name, at..item_end(code, at)));
        }
    }
    found
}

/// Code with the items under `#[cfg(test)]` blanked.
pub fn product(code: &str) -> String {
    let mut out = String::from(code);
    for (at, mark) in code.match_indices("#[cfg(test)]") {
        let end = item_end(code, at + mark.len());
        let blank: String = code[at..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        if blank.len() == end - at {
            out.replace_range(at..end, &blank);
        }
    }
    out
}

/// Paths, without their `.rs`, of the modules that only tests use; what they hold lies below.
pub fn test_modules(tree: &Tree) -> Vec<String> {
    let mut found = Vec::new();
    for file in tree.ending(".rs") {
        let code = code(&file.text);
        let roots = ["lib.rs", "main.rs"];
        let inside = roots.iter().find_map(|root| file.path.strip_suffix(&format!("/{root}")));
        let folder = inside.or_else(|| file.path.strip_suffix(".rs")).unwrap_or_default();
        let items = code.split("#[cfg(test)]").skip(1).filter_map(|item| item.split(';').next());
        let names = items.filter_map(|item| item.rsplit_once("mod ").map(|(_, name)| name.trim()));
        let words = names.filter(|name| name.chars().all(|c| c.is_alphanumeric() || c == '_'));
        found.extend(words.map(|name| format!("{folder}/{name}")));
    }
    found
}

#[test]
fn modules_that_only_tests_use_are_known() {
    let text = "#[cfg(test)]\npub mod proof;\nmod a;\n#[cfg(test)]\nmod tests {\n use b;\n}\n";
    let tree = Tree::of(&[("proto/src/lib.rs", text), ("proto/src/a/b.rs", text)]);
    assert_eq!(test_modules(&tree), ["proto/src/proof", "proto/src/a/b/proof"]);
}

#[test]
fn comments_and_texts_are_no_code() {
    let text = "let a = \"// x \\\" y\"; // fn one\n/* fn /* two */ fn */ let b = 'c'; fn three<'a>() {}\n";
    let code = code(text);
    assert_eq!(code.lines().count(), text.lines().count());
    assert_eq!(functions(&code).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["three"]);
    assert!(!code.contains('x') && !code.contains("one") && !code.contains("two"), "{code}");
}

#[test]
fn raw_texts_are_no_code_and_lifetimes_are() {
    let code = code("r#\"fn a\" fn b\"# br\"fn c\" fn d() { for\"x\"; '\\''; } struct S<'a>(&'a str);");
    assert_eq!(functions(&code).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["d"]);
    assert!(code.ends_with("struct S<'a>(&'a str);"), "{code}");
}

#[test]
fn a_function_ends_with_its_own_brace() {
    let text = "fn a(x: [u8; 4]) -> u8 {\n if x[0] == 1 {\n  2\n } else { 3 }\n}\nfn b();\nfn c() {}\n";
    let lengths: Vec<_> =
        functions(text).into_iter().map(|(name, at)| (name, text[at].lines().count())).collect();
    assert_eq!(lengths, [("a", 5), ("b", 1), ("c", 1)]);
}

#[test]
fn what_only_tests_use_is_no_product() {
    let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() {}\n}\nfn c() {}\n";
    let product = product(text);
    assert_eq!(functions(&product).iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["a", "c"]);
    assert_eq!(line_of(&product, product.find('c').expect("it is kept")), 6);
}
