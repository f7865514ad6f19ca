//! Accept and reject as BuildKit does, on Dockerfiles that others wrote and on edge cases.
//!
//! The directory that `CI_BUILD_CORPUS` names holds `files/<sha256>` with `verdicts.tsv` and `edge/<case>` with
//! `edge-verdicts.tsv`: what `docker build --call=targets` said to each, and the stages that it listed. Without the
//! variable there is nothing to compare.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ci_build_frontend::dockerfile::instruction::{Body, Instruction};
use ci_build_frontend::dockerfile::{Dockerfile, parse};
use serde_json::Value;

/// What engines refuse that have an older syntax built in than the one that is read here.
const NEWER: [&str; 2] = ["unknown flag: --parents", "unknown flag: --security"];

/// A row of a table: what BuildKit said to a file.
struct Verdict {
    file: PathBuf,
    accepted: bool,
    message: String,
    targets: String,
}

fn table(corpus: &Path, name: &str, files: &str, columns: [&str; 4]) -> Vec<Verdict> {
    let text = fs::read_to_string(corpus.join(name)).expect("the corpus has its tables");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let columns = columns.map(|name| header.iter().position(|column| *column == name).expect(name));
    let mut rows = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let [key, verdict, message, targets] =
            columns.map(|column| fields.get(column).copied().unwrap_or(""));
        if !matches!(verdict, "accept" | "reject") {
            continue;
        }
        let file = corpus.join(files).join(key);
        let file = if file.is_dir() { file.join("Dockerfile") } else { file };
        rows.push(Verdict {
            file,
            accepted: verdict == "accept",
            message: message.to_owned(),
            targets: targets.to_owned(),
        });
    }
    rows
}

/// The stages of a Dockerfile as BuildKit lists them.
fn stages(dockerfile: &Dockerfile) -> Vec<(String, String, String, u64)> {
    let stage = |instruction: &Instruction| match &instruction.body {
        Body::From { base, name } => {
            let platform = instruction.flags.iter().find(|flag| flag.name == "platform");
            let platform = platform.and_then(|flag| flag.value.clone()).unwrap_or_default();
            let line = u64::from(*instruction.lines.start());
            Some((name.clone().unwrap_or_default(), base.clone(), platform, line))
        }
        _ => None,
    };
    dockerfile.instructions().filter_map(stage).collect()
}

fn listed(targets: &str) -> Option<Vec<(String, String, String, u64)>> {
    let list: Value = serde_json::from_str(targets).ok()?;
    let text = |target: &Value, key: &str| target[key].as_str().unwrap_or_default().to_owned();
    let target = |target: &Value| {
        (
            text(target, "name"),
            text(target, "base"),
            text(target, "platform"),
            target["line"].as_u64().unwrap_or(0),
        )
    };
    Some(list["targets"].as_array()?.iter().map(target).collect())
}

#[test]
fn agrees_with_upstream() {
    let Some(corpus) = std::env::var_os("CI_BUILD_CORPUS").map(PathBuf::from) else {
        eprintln!("CI_BUILD_CORPUS is not set: nothing to compare with");
        return;
    };
    let mut verdicts = table(&corpus, "verdicts.tsv", "files", ["sha256", "verdict", "message", "targets"]);
    let real = verdicts.len();
    verdicts.extend(table(
        &corpus,
        "edge-verdicts.tsv",
        "edge",
        ["case", "parse", "parse_message", "targets"],
    ));
    let mut differences = String::new();
    let (mut count, mut explained, mut no_text, mut bytes, mut rejected) = (0, 0, 0, 0, 0);
    for verdict in &verdicts {
        let source = fs::read(&verdict.file).expect("the corpus has its files");
        bytes += source.len();
        rejected += usize::from(!verdict.accepted);
        let name = verdict.file.strip_prefix(&corpus).unwrap_or(&verdict.file).display();
        let difference = match parse(&source) {
            Ok(dockerfile) if verdict.accepted => match listed(&verdict.targets) {
                Some(listed) if listed != stages(&dockerfile) => {
                    Some(format!("stages {:?}, theirs {listed:?}", stages(&dockerfile)))
                }
                _ => None,
            },
            Ok(_) if NEWER.iter().any(|newer| verdict.message.ends_with(newer)) => {
                explained += 1;
                None
            }
            Ok(_) => Some(format!("accepted, theirs: {}", verdict.message)),
            // By design, and told in `parse`.
            Err(_) if verdict.accepted && (source.contains(&0) || std::str::from_utf8(&source).is_err()) => {
                no_text += 1;
                None
            }
            Err(error) if verdict.accepted => Some(format!("refused: {error}")),
            Err(error) => {
                if std::env::var_os("CI_BUILD_CORPUS_REFUSED").is_some() {
                    eprintln!("{name}: {error}\n    theirs: {}", verdict.message);
                }
                None
            }
        };
        if let Some(difference) = difference {
            count += 1;
            writeln!(differences, "{name}: {difference}").expect("a string takes it");
        }
    }
    eprintln!(
        "{real} real files and {} edge cases, {bytes} bytes, {rejected} refused, {count} differences, \
         {explained} more where the engine is older, {no_text} where the file is no text",
        verdicts.len() - real
    );
    assert!(differences.is_empty(), "{differences}");
}
