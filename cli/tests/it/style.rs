//! docs/style.md, as far as a program can judge it.

use std::fs;
use std::path::Path;

/// The texts of `#[error("…")]`, each with the file that it stands in.
fn errors(directory: &Path, found: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            errors(&path, found);
            continue;
        }
        let source = fs::read_to_string(&path).unwrap_or_default();
        for after in source.split("#[error(").skip(1) {
            let Some(text) = after.trim_start().strip_prefix('"') else { continue };
            let mut is_escaped = false;
            let end = text.find(|c| {
                let is_end = c == '"' && !is_escaped;
                is_escaped = c == '\\' && !is_escaped;
                is_end
            });
            found.push((path.display().to_string(), text[..end.unwrap()].to_owned()));
        }
    }
}

/// What is wrong with a message; none where nothing is.
fn wrong(message: &str) -> Option<&'static str> {
    const EVASIONS: [&str; 7] =
        ["failed to ", "unable to ", "could not be found", "an error ", "invalid ", "sorry", "oops"];
    let first = message.lines().next().unwrap_or_default().split("\\n").next().unwrap_or_default();
    let word = first.split(' ').next().unwrap_or_default();
    let is_name = word.chars().filter(|c| c.is_uppercase()).count() > 1;
    if first.starts_with(char::is_uppercase) && !is_name {
        return Some("it begins with a capital letter");
    }
    if first.ends_with(['.', '!']) {
        return Some("it ends with a full stop");
    }
    EVASIONS
        .iter()
        .any(|words| first.contains(words))
        .then_some("it says that something failed, and not what is")
}

#[test]
fn errors_are_lowercase_and_say_what_is() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut found = Vec::new();
    for directory in ["cli/src", "frontend/src", "xtask/src"] {
        errors(&root.join(directory), &mut found);
    }
    assert!(found.len() > 100, "{}", found.len());
    for (file, message) in found {
        assert_eq!(wrong(&message), None, "{file}: {message}");
    }
}

#[test]
fn bad_style_is_seen() {
    assert_eq!(wrong("cannot read '{path}'"), None);
    assert_eq!(wrong("DOCKER_HOST names no engine"), None);
    for message in ["Cannot read it", "cannot read it.", "failed to read it"] {
        assert!(wrong(message).is_some(), "{message}");
    }
}
