//! Accept and reject as BuildKit does: on edge cases of ours, and on Dockerfiles that others wrote.
//!
//! The verdicts are those of Docker 28.5.2 (`docker build --call=targets`, which parses and resolves nothing).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ci_build_frontend::dockerfile::instruction::{Body, Instruction};
use ci_build_frontend::dockerfile::{Dockerfile, parse};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// What that engine refuses because the syntax that it has built in is older than the one that is read here.
const NEWER: [&str; 2] = ["unknown flag: --parents", "unknown flag: --security"];

/// The rows of a table, by column.
fn table(path: &Path) -> Vec<BTreeMap<String, String>> {
    let text = fs::read_to_string(path).expect("it is in testdata");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split('\t').collect();
    let row = |line: &str| {
        let fields = line.split('\t').chain(std::iter::repeat(""));
        header.iter().zip(fields).map(|(name, field)| ((*name).to_owned(), field.to_owned())).collect()
    };
    lines.map(row).collect()
}

/// Name, base, platform and line of each stage.
type Stages = Vec<(String, String, String, u64)>;

fn stages(dockerfile: &Dockerfile<'_>) -> Stages {
    let stage = |instruction: &Instruction<'_>| match &instruction.body {
        Body::From(stage) => {
            let platform = instruction.flags().iter().find(|flag| flag.name == "platform");
            let platform = platform.and_then(|flag| flag.value.as_deref()).unwrap_or_default().to_owned();
            let name = stage.name.as_deref().unwrap_or_default().to_owned();
            Some((name, stage.base.to_string(), platform, u64::from(instruction.line)))
        }
        _ => None,
    };
    dockerfile.instructions.iter().filter_map(stage).collect()
}

/// The stages that BuildKit listed, if it did.
fn listed(targets: &str) -> Option<Stages> {
    let list: Value = serde_json::from_str(targets).ok()?;
    let text = |target: &Value, key: &str| target[key].as_str().unwrap_or_default().to_owned();
    let target = |target: &Value| {
        let line = target["line"].as_u64().unwrap_or(0);
        (text(target, "name"), text(target, "base"), text(target, "platform"), line)
    };
    Some(list["targets"].as_array()?.iter().map(target).collect())
}

/// What differs from upstream's verdict, but for what is meant to.
fn difference(source: &[u8], row: &BTreeMap<String, String>) -> Option<String> {
    let accepted = row["verdict"] == "accept";
    // By design: a file that is no text is refused, with the place.
    let is_text = std::str::from_utf8(source).is_ok() && !source.contains(&0);
    match parse(source) {
        Ok(dockerfile) if accepted => {
            let targets = row.get("targets").and_then(|targets| listed(targets))?;
            let own = stages(&dockerfile);
            (own != targets).then(|| format!("stages {own:?}, theirs {targets:?}"))
        }
        Ok(_) if NEWER.iter().any(|newer| row["message"].ends_with(newer)) => None,
        Ok(_) => Some(format!("accepted, theirs: {}", row["message"])),
        Err(error) if accepted && is_text => Some(format!("refused: {error}")),
        Err(_) => None,
    }
}

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../testdata")
}

#[test]
fn edge_cases_are_accepted_and_refused_as_upstream_does() {
    let mut differences = Vec::new();
    let rows = table(&testdata().join("syntax/verdicts.tsv"));
    for row in &rows {
        let case = testdata().join("syntax/cases").join(format!("{}.Dockerfile", row["case"]));
        let source = fs::read(case).expect("each case is in testdata");
        differences
            .extend(difference(&source, row).map(|difference| format!("{}: {difference}", row["case"])));
    }
    assert!(rows.len() > 500, "{} cases", rows.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The files are other people's and not in the repository: `testdata/corpus.tsv` names them by digest and place, and
/// `cargo xtask corpus DIR` runs this on a directory that holds them under their digests.
#[test]
#[ignore = "needs the files that testdata/corpus.tsv names: cargo xtask corpus DIR"]
fn real_files_are_accepted_and_refused_as_upstream_does() {
    let files =
        PathBuf::from(std::env::var_os("CI_BUILD_CORPUS").expect("CI_BUILD_CORPUS names the directory"));
    let mut differences = Vec::new();
    let (mut compared, mut newer, mut missing) = (0, 0, 0);
    for row in table(&testdata().join("corpus.tsv")) {
        let Ok(source) = fs::read(files.join(&row["sha256"])) else {
            missing += 1;
            continue;
        };
        let digest: String = Sha256::digest(&source).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, row["sha256"], "the file is another one");
        compared += 1;
        newer += usize::from(NEWER.iter().any(|newer| row["message"].ends_with(newer)));
        let place = format!("{} {}", row["repository"], row["path"]);
        differences.extend(difference(&source, &row).map(|difference| format!("{place}: {difference}")));
    }
    eprintln!(
        "{compared} files compared, {newer} of them with newer syntax than the engine's, {missing} missing"
    );
    assert!(compared >= 1000, "only {compared} files");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
