//! That the documents tell the truth: commands that the command takes, output that it prints, messages that it has, links that lead
//! somewhere.
//!
//! A fenced block `console` is run by a shell, in a directory of its document's own, and what it prints is compared; `…` in a line
//! stands for any text, and `[n]` tells an exit code. A block with `title="NAME"` is a file of that directory.
//! `UPDATE_DOCUMENTS=1 cargo test -p ci-build documents` writes down what is printed.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::help::{called, calls};

/// All documents that are written by hand, the README first.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut found = vec![root.join("README.md")];
    for directory in ["docs", "docs/guides"] {
        let entries = fs::read_dir(root.join(directory)).unwrap().map(|entry| entry.unwrap().path());
        found.extend(entries.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    }
    found[1..].sort();
    found
}

/// Part of a document.
#[derive(Debug)]
enum Part {
    Text(String),
    /// A fenced block: the line that opens it, and what stands in it.
    Block(String, String),
}

fn parts(text: &str) -> Vec<Part> {
    let (mut parts, mut lines) = (Vec::new(), text.lines());
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let inside = lines.by_ref().take_while(|line| !line.starts_with("```"));
            let inside: String = inside.flat_map(|line| [line, "\n"]).collect();
            parts.push(Part::Block(line.to_owned(), inside));
        } else {
            parts.push(Part::Text(line.to_owned()));
        }
    }
    parts
}

/// The lines of a document that a person would type, or a system would run for them.
fn typed(text: &str) -> Vec<String> {
    let mut typed = Vec::new();
    for part in parts(text) {
        match part {
            Part::Text(line) if line.starts_with("    ") => typed.push(line),
            // Rows of tables say what a line becomes. Two words are a command's name.
            Part::Text(line) if line.starts_with('|') => {
                let codes = line.split('`').skip(1).step_by(2).filter(|code| code.split(' ').count() > 2);
                typed.extend(codes.map(|code| code.replace("\\|", "|")));
            }
            Part::Text(_) => {}
            Part::Block(open, inside) if open.starts_with("```console") => {
                typed.extend(inside.lines().filter_map(|line| line.strip_prefix("$ ")).map(String::from));
            }
            Part::Block(_, inside) => typed.extend(inside.lines().map(String::from)),
        }
    }
    typed.iter().filter_map(|line| command_in(line)).collect()
}

/// A command line of ours, without what a CI system's file has around it.
fn command_in(line: &str) -> Option<String> {
    let mut line = line.trim();
    for start in ["- ", "run: ", "command: ", "steps { ", "post { always { ", "sh ", "ExecStart=", "sudo "] {
        line = line.strip_prefix(start).unwrap_or(line);
    }
    line = line.trim_end_matches([' ', '}']);
    for quote in ['\'', '"'] {
        let inside = line.strip_prefix(quote).and_then(|line| line.strip_suffix(quote));
        line = inside.unwrap_or(line);
    }
    let is_ours = line.starts_with("ci-build ")
        || ["| xargs ci-build ", "$(ci-build ", "; ci-build ", "&& ci-build "]
            .iter()
            .any(|call| line.contains(call))
        || line
            .split(' ')
            .skip_while(|word| word.contains('='))
            .collect::<Vec<_>>()
            .join(" ")
            .starts_with("ci-build ");
    // What stands for something else, and drawings of how a command works.
    let is_sketch = line.contains('─') || line.contains("COMMAND") || line.contains('…');
    let line =
        line.replace("${{ github.sha }}", "0123").replace(" IMAGE", " image").replace(" REF", " image");
    (is_ours && !is_sketch).then_some(line)
}

#[test]
fn every_command_in_a_document_is_one_that_the_command_takes() {
    let mut seen = 0;
    for path in documents() {
        for line in typed(&fs::read_to_string(&path).unwrap()) {
            let (calls, complaints) = calls(&line);
            assert!(!complaints.contains("yntax"), "{}: {line}: {complaints}", path.display());
            assert!(!calls.is_empty(), "{}: {line}: calls nothing", path.display());
            for words in calls {
                called(words).unwrap_or_else(|error| panic!("{}: {line}: {error}", path.display()));
                seen += 1;
            }
        }
    }
    assert!(seen > 60, "only {seen} commands were found in all documents");
}

/// What a person would see who types these lines.
fn session(directory: &Path, block: &str) -> String {
    let mut shown = String::new();
    for line in block.lines().filter_map(|line| line.strip_prefix("$ ")) {
        let bin = Path::new(env!("CARGO_BIN_EXE_ci-build")).parent().unwrap();
        let path = format!("{}:/usr/bin:/bin", bin.display());
        let output = Command::new("/bin/sh")
            .args(["-c", &format!("{{ {line}\n}} 2>&1")])
            .current_dir(directory)
            .env_clear()
            .envs([("PATH", path.as_str()), ("LC_ALL", "C.UTF-8"), ("HOME", "/nowhere")])
            .env("CI_BUILD_STATE_DIR", directory.join("state"))
            .output()
            .unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let printed = if printed.is_empty() || printed.ends_with('\n') { printed } else { printed + "\n" };
        write!(shown, "$ {line}\n{printed}").unwrap();
        match output.status.code() {
            Some(0) => {}
            code => writeln!(shown, "[{}]", code.unwrap()).unwrap(),
        }
    }
    shown
}

/// Whether this is what was printed, where `…` is any text.
fn is_as_written(written: &str, printed: &str) -> bool {
    let line = |(written, printed): (&str, &str)| {
        let mut rest = Some(printed);
        let (mut pieces, is_open) = (written.split('…'), written.contains('…'));
        rest = rest.and_then(|rest| rest.strip_prefix(pieces.next().unwrap_or_default()));
        for piece in pieces {
            rest = rest.and_then(|rest| rest.find(piece).map(|at| &rest[at + piece.len()..]));
        }
        rest.is_some_and(|rest| rest.is_empty() || (is_open && written.ends_with('…')))
    };
    written.lines().count() == printed.lines().count() && written.lines().zip(printed.lines()).all(line)
}

#[test]
fn what_documents_show_is_what_is_printed() {
    let (mut sessions, mut wrong) = (0, String::new());
    for path in documents() {
        let text = fs::read_to_string(&path).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let mut updated = String::new();
        for part in parts(&text) {
            let (open, inside) = match part {
                Part::Text(line) => {
                    writeln!(updated, "{line}").unwrap();
                    continue;
                }
                Part::Block(open, inside) => (open, inside),
            };
            if let Some((_, name)) = open.split_once("title=\"") {
                fs::write(directory.path().join(name.trim_end_matches('"')), &inside).unwrap();
            }
            let mut shown = inside.clone();
            if open.starts_with("```console") {
                let printed = session(directory.path(), &inside);
                sessions += 1;
                if !is_as_written(&inside, &printed) {
                    writeln!(wrong, "{}:\n{inside}--- but it prints\n{printed}", path.display()).unwrap();
                    shown = printed;
                }
            }
            write!(updated, "{open}\n{shown}```\n").unwrap();
        }
        if std::env::var_os("UPDATE_DOCUMENTS").is_some() && updated != text {
            fs::write(&path, updated).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(sessions > 4, "only {sessions} sessions were found");
}

#[test]
fn any_text_is_any_text_and_nothing_else_is() {
    assert!(is_as_written("a … c\n[1]\n", "a b c\n[1]\n"));
    assert!(is_as_written("a …\n", "a b c\n"));
    assert!(!is_as_written("a … c\n", "a b d\n"));
    assert!(!is_as_written("a\n", "a b\n"));
    assert!(!is_as_written("a\n", "a\nb\n"));
}

/// All texts in the source, with … for what is put in.
fn texts(directory: &Path) -> String {
    let mut found = String::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.push_str(&texts(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
    // `{name}` and `{}` to …, `{{` to `{`; a line that goes on in the next one is one.
    let (mut text, mut rest) = (String::new(), found.as_str());
    while let Some(at) = rest.find(['{', '\\']) {
        text.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(after) = rest.strip_prefix("\\\n") {
            rest = after.trim_start();
        } else if rest.starts_with('{')
            && rest[1..].find(['}', '{', '\n']).is_some_and(|end| rest.as_bytes()[1 + end] == b'}')
        {
            text.push('…');
            rest = rest.split_once('}').map_or("", |(_, rest)| rest);
        } else {
            text.push_str(&rest[..1]);
            rest = &rest[1..];
        }
    }
    text + rest
}

#[test]
fn each_message_of_the_troubleshooting_page_is_one_of_ours() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let ours = texts(&root.join("cli/src")) + &texts(&root.join("frontend/src"));
    let page = fs::read_to_string(root.join("docs/guides/troubleshooting.md")).unwrap();
    let messages: Vec<_> = page.lines().filter_map(|line| line.strip_prefix("### ")).collect();
    assert!(messages.len() > 20, "{messages:?}");
    for message in messages {
        assert!(ours.contains(message), "nothing says '{message}'");
    }
    assert!(!ours.contains("cannot reach the docker engine on …"), "the search would find anything");
}

#[test]
fn links_lead_somewhere() {
    let mut seen = 0;
    for path in documents() {
        for part in parts(&fs::read_to_string(&path).unwrap()) {
            let Part::Text(line) = part else { continue };
            for link in line.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
                let target = link.split('#').next().unwrap_or_default();
                if !target.is_empty() && !target.contains("://") {
                    assert!(path.parent().unwrap().join(target).exists(), "{}: {link}", path.display());
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 50, "only {seen} links were found");
}
