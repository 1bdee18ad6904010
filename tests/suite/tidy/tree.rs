//! The files that the rules look at: everything below the top that git would not ignore.

use std::{fmt, fs, io, path::Path};

/// A text file.
pub struct File {
    /// From the top, with `/`.
    pub path: String,
    /// What it says; empty where it is not UTF-8.
    pub text: String,
}

impl File {
    /// Its lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
    /// Something found in it.
    pub fn found(&self, line: usize, what: impl Into<String>) -> Found {
        Found { path: self.path.clone(), line, what: what.into() }
    }
    /// Its name without folders.
    pub fn name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or_default()
    }
    /// The first folder; the file itself at the top.
    pub fn room(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }
}

/// A place that breaks a rule.
pub struct Found {
    /// File, from the top.
    pub path: String,
    /// Line, from 1.
    pub line: usize,
    /// What is there.
    pub what: String,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// The files, by path.
pub struct Tree {
    /// Sorted by path.
    pub files: Vec<File>,
}

impl Tree {
    /// Reads what lies below `top`.
    pub fn read(top: &Path) -> io::Result<Self> {
        let ignored = fs::read_to_string(top.join(".gitignore"))?;
        let mut tree = Self { files: Vec::new() };
        tree.walk(top, "", &ignored)?;
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    fn walk(&mut self, folder: &Path, prefix: &str, ignored: &str) -> io::Result<()> {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if path == ".git" || is_ignored(&path, ignored) {
                continue;
            }
            if entry.file_type()?.is_dir() {
                self.walk(&entry.path(), &format!("{path}/"), ignored)?;
            } else {
                let text = String::from_utf8(fs::read(entry.path())?).unwrap_or_default();
                self.files.push(File { path, text });
            }
        }
        Ok(())
    }

    /// Invented files.
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File { path: (*path).into(), text: (*text).into() };
        Self { files: files.iter().map(file).collect() }
    }
    /// The file at a path.
    pub fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }
    /// Whether there is a file or a folder at a path, or one that git ignores: it is made by running things.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        let folder = format!("{path}/");
        let ignored = self.file(".gitignore").map_or("", |file| &file.text);
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        self.files.iter().any(|file| file.path == path || file.path.starts_with(&folder))
            || above.chain([path]).any(|above| is_ignored(above, ignored))
    }
    /// Files whose names end so.
    pub fn ending<'a>(&'a self, end: &'a str) -> impl Iterator<Item = &'a File> {
        self.files.iter().filter(move |file| file.path.ends_with(end))
    }
}

/// The part of `.gitignore`'s language that ours uses: `/anchored`, `anywhere`, `folder/`, and one star.
fn is_ignored(path: &str, ignored: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    ignored.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).any(|line| {
        let line = line.trim_end_matches('/');
        let subject = if line.contains('/') { path } else { name };
        let pattern = line.trim_start_matches('/');
        match pattern.split_once('*') {
            Some((begin, end)) => subject.starts_with(begin) && subject.ends_with(end),
            None => subject == pattern,
        }
    })
}

#[test]
fn what_git_ignores_is_not_looked_at() {
    let ignored = "/target\n/target-*\n# a comment\n/tests/.venv\n*.profraw\n__pycache__\n";
    for path in ["target", "target-planted", "tests/.venv", "tests/a.profraw", "tests/sdk/__pycache__"] {
        assert!(is_ignored(path, ignored), "{path}");
    }
    for path in ["cells/target", "tests", "tests/venv", "profraw", ".ci", "# a comment"] {
        assert!(!is_ignored(path, ignored), "{path}");
    }
}
