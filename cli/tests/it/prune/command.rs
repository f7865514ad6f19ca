//! What `ci-build prune` refuses, and how it skips, without a real engine.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::super::engine::{FakeEngine, message};
use super::super::lock::command::ci_build;

fn refused(line: &str) -> (String, i32) {
    let state = tempfile::tempdir().unwrap();
    let mut command = ci_build(state.path(), line);
    let output = command.env("DOCKER_HOST", "unix:///nowhere/docker.sock").output().unwrap();
    assert!(output.stdout.is_empty(), "{output:?}");
    (String::from_utf8(output.stderr).unwrap(), output.status.code().unwrap())
}

#[test]
fn limits_the_wrong_way_round_are_wrong_usage() {
    let (message, code) = refused("prune --disk-high 60 --disk-low 70");
    assert_eq!(code, 2);
    insta::assert_snapshot!(message, @r"
    error: --disk-low 70 is above --disk-high 60, so no room would be made
      help: swap them, or give --disk-high more than 70
    ");
    let (message, code) = refused("prune --inodes-high 10 --disk-low 20");
    assert_eq!(code, 2);
    insta::assert_snapshot!(message, @r"
    error: --inodes-low 80 is above --inodes-high 10, so no room would be made
      help: swap them, or give --inodes-high more than 80
    ");
    let (message, code) = refused("prune --older-than 5m");
    assert_eq!(code, 2);
    insta::assert_snapshot!(message, @r"
    error: --grace 10m is longer than --older-than 5m, so nothing old would go
      help: give --grace 5m or less
    ");
    for line in ["prune --disk-high 101", "prune --older-than 72", "prune --cache-mount x", "prune --keep ,"]
    {
        assert_eq!(refused(line).1, 2, "{line}");
    }
}

#[test]
fn an_engine_that_is_not_there_is_named() {
    for line in ["prune", "prune --dry-run --store x", "watch"] {
        let (message, code) = refused(line);
        assert_eq!(code, 125, "{message}");
        assert!(
            message.starts_with("error: cannot reach the docker engine at unix:///nowhere/docker.sock"),
            "{message}"
        );
    }
}

/// An image that a container was made of since prune looked: it goes without its last name only.
#[test]
fn an_image_that_the_engine_keeps_after_all_keeps_its_names() {
    const ID: &str = "sha256:1111111111111111111111111111111111111111111111111111111111111111";
    let names = ["app:1", "app:latest", "r.example:5000/app:1"];
    let tags = Arc::new(Mutex::new(BTreeSet::from(names.map(str::to_owned))));
    let in_engine = Arc::clone(&tags);
    let engine = FakeEngine::start(move |method, path, query| {
        let mut tags = in_engine.lock().unwrap();
        let parameter = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.unwrap_or_default().replace("%3A", ":").replace("%2F", "/")
        };
        let name = path.strip_prefix("/images/").unwrap_or_default();
        match (method, name) {
            ("GET", "json") => {
                let image = json!({
                    "Id": ID, "ParentId": "", "RepoTags": *tags, "RepoDigests": [], "Created": 1_600_000_000,
                    "Size": 1, "SharedSize": -1, "Labels": {}, "Containers": -1,
                });
                Some((200, json!([image]).to_string()))
            }
            ("GET", name) => {
                let name = name.strip_suffix("/json")?;
                let is_here = name == ID || tags.contains(name);
                let image = json!({"Id": ID, "RepoTags": *tags, "RepoDigests": []});
                is_here.then(|| (200, image.to_string()))
            }
            ("DELETE", ID) => Some((409, message("a container uses it"))),
            ("DELETE", name) => tags.remove(name).then(|| (200, json!([{"Untagged": name}]).to_string())),
            ("POST", name) if name == format!("{ID}/tag") => {
                tags.insert(format!("{}:{}", parameter("repo"), parameter("tag")));
                Some((201, String::new()))
            }
            _ => None,
        }
    });
    let state = tempfile::tempdir().unwrap();
    let output = ci_build(state.path(), "prune").env("DOCKER_HOST", engine.host()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("a container uses it") && !said.contains("lost the name"), "{output:?}");
    assert_eq!(*tags.lock().unwrap(), BTreeSet::from(names.map(str::to_owned)));
}
