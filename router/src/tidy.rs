//! Holds the directions of import that `lib.rs` tells of.

use std::fs;
use std::path::{Path, PathBuf};

/// Every source file of this crate, as its path below `src`, with its text.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                sources.push((path.strip_prefix(&root).unwrap().to_owned(), text));
            }
        }
    }
    assert!(sources.len() > 20);
    sources
}

/// Only files of `module` may have a line of code that contains one of `words`.
#[track_caller]
fn check_only(module: &str, words: &[&str]) {
    for (path, text) in sources() {
        let is_inside = path.starts_with(module) || path == Path::new(&format!("{module}.rs"));
        if is_inside || path == Path::new("tidy.rs") {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            let is_comment = line.trim_start().starts_with("//");
            let says = words.iter().any(|word| line.contains(word));
            assert!(is_comment || !says, "{}:{number}: {line}", path.display());
        }
    }
}

#[test]
fn only_http_says_axum() {
    check_only("http", &["axum::", "use axum"]);
}

#[test]
fn only_upstream_says_reqwest() {
    check_only("upstream", &["reqwest::", "use reqwest"]);
}

#[test]
fn the_pipeline_does_not_look_back_at_http() {
    for (path, text) in sources() {
        if path.starts_with("pipeline") || path == Path::new("pipeline.rs") {
            assert!(!text.contains("crate::http"), "{}", path.display());
        }
    }
}
