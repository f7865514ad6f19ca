//! SARIF against the official schema, which the crate serde-sarif carries.

use std::path::PathBuf;
use std::process::Command;

use ci_build_frontend::dockerfile::{self, Options};
use ci_build_frontend::hazard::RULES;
use ci_build_frontend::plan::{Medium, Plan, Settings};
use ci_build_frontend::report::check::{self, Checked};
use serde_json::Value;

/// The schema of OASIS, out of a crate's sources as cargo has them.
fn schema() -> Value {
    // Only what was built is on the disk: crates for other platforms may not be.
    let host = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let cargo = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform", &host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo and the crate serde-sarif");
    let metadata: Value = serde_json::from_slice(&cargo.stdout).expect("cargo and the crate serde-sarif");
    let packages = metadata["packages"].as_array().expect("cargo and the crate serde-sarif");
    let carrier = packages
        .iter()
        .find(|package| package["name"] == "serde-sarif")
        .expect("cargo and the crate serde-sarif");
    let manifest = PathBuf::from(carrier["manifest_path"].as_str().expect("cargo and the crate serde-sarif"));
    let schema = std::fs::read(manifest.with_file_name("src").join("schema.json"))
        .expect("cargo and the crate serde-sarif");
    let mut schema: Value = serde_json::from_slice(&schema).expect("cargo and the crate serde-sarif");
    // As published, the pattern of a language is no regular expression: its last bracket closes nothing.
    for owner in ["run", "toolComponent"] {
        let language = schema.pointer_mut(&format!("/definitions/{owner}/properties/language"));
        language.and_then(Value::as_object_mut).expect("both have a language").remove("pattern");
    }
    schema
}

#[test]
fn it_is_what_the_schema_says() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let source = RULES.map(|rule| rule.documentation.bad);
    let platforms = ["linux/amd64", "linux/arm64"].map(|platform| platform.parse().unwrap());
    let options = Options { platforms: platforms.to_vec(), ..Options::default() };
    let read = source.map(|source| {
        let dockerfile = dockerfile::parse(source.as_bytes()).unwrap();
        let graph = dockerfile::read("a b/Dockerfile", &dockerfile, &options).unwrap();
        // As `check` asks for it.
        let plan = Plan::of(&graph, &Settings { medium: Medium::Text, ..Settings::default() });
        (source, graph, plan)
    });
    let files: Vec<_> = read
        .iter()
        .map(|(source, graph, plan)| Checked::new("a b/Dockerfile", source, graph, &plan.mended))
        .collect();
    for files in [&files[..], &[]] {
        let log: Value = serde_json::from_str(&check::sarif(files)).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&log).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}");
        // The schema would say so if something were wrong.
        let mut wrong = log.clone();
        wrong["runs"][0]["tool"]["driver"]["nonsense"] = 1.into();
        assert!(!validator.is_valid(&wrong));
    }
    let log: Value = serde_json::from_str(&check::sarif(&files)).unwrap();
    let rules = log["runs"][0]["tool"]["driver"]["rules"].as_array().unwrap();
    assert_eq!(rules.len(), RULES.len());
    for (rule, known) in rules.iter().zip(RULES) {
        let help = |form: &str| rule["help"][form].as_str().unwrap();
        assert!(help("markdown").starts_with(&format!("# {}\n", known.name)));
        for part in [known.documentation.what, known.documentation.why, known.documentation.mended] {
            assert!(help("text").contains(part.trim()), "{}", known.name);
        }
    }
    let results = log["runs"][0]["results"].as_array().unwrap();
    let ids: std::collections::BTreeSet<_> =
        results.iter().map(|result| result["ruleId"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), RULES.len());
    insta::assert_snapshot!(serde_json::to_string_pretty(&results[0]).unwrap());
}
