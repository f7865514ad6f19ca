//! What goes beside images, each by its own switch.

use std::time::Duration;

use ci_build::store::{Identity, Patience, Store};
use serde_json::{Value, json};

use super::super::lock::command::ci_build;
use super::stock::{Container, Stock, counts, hours_ago, report};

/// An image, and a container of ours made from it, which ended so many hours ago.
fn ended(hours: i64) -> Stock {
    let container =
        Container { image: 0, created: hours_ago(1000), ended: Some(hours_ago(hours)), is_ours: true };
    Stock { containers: [("left".into(), container)].into(), ..Stock::made(1, 2000) }
}

#[test]
fn a_containers_volumes_go_by_their_own_switch() {
    for (line, asked) in [("prune --containers", "v=false"), ("prune --containers --volumes", "v=true")] {
        let (engine, stock) = ended(900).start(|_, _, _| {});
        let state = tempfile::tempdir().unwrap();
        report(ci_build(state.path(), line).env("DOCKER_HOST", engine.host()));
        let stock = stock.lock().unwrap();
        let deletion = stock.asked.iter().find(|asked| asked.starts_with("DELETE /containers/left?"));
        assert!(deletion.is_some_and(|deletion| deletion.contains(asked)), "{line}: {:?}", stock.asked);
        assert!(stock.containers.is_empty() && stock.images.is_empty(), "{line}: {:?}", stock.asked);
    }
}

/// The engine counts as made by somebody what a swarm makes.
#[test]
fn networks_of_a_swarm_stay() {
    let network = |name: &str, is_ingress| json!({ "Id": name, "Name": name, "Created": hours_ago(1000), "Ingress": is_ingress });
    let networks = vec![network("left", false), network("ingress", true), network("docker_gwbridge", false)];
    let (engine, _) = Stock { networks, ..Stock::default() }.start(|_, _, _| {});
    let state = tempfile::tempdir().unwrap();
    let report =
        report(ci_build(state.path(), "prune --networks --dry-run").env("DOCKER_HOST", engine.host()));
    let names: Vec<&Value> =
        report["things"].as_array().unwrap().iter().map(|thing| &thing["name"]).collect();
    assert_eq!(names, ["left"]);
}

const AT_ONCE: Patience = Patience { wait: Duration::ZERO, polite: Duration::ZERO };

/// Two images and two records of build cache in an engine that a prune of build cache beside a build ends.
fn fragile() -> Stock {
    let cache = vec!["one".into(), "two".into()];
    Stock { cache, version: Some(("20.10.24", "1.41")), ..Stock::made(2, 2000) }
}

#[test]
fn builds_wait_for_a_record_of_build_cache_and_for_no_image() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open_in(state.path(), Identity::Docker("E".into())).unwrap();
    let (engine, stock) = fragile().start(move |stock, method, path| {
        if method == "DELETE" || path == "/build/prune" {
            let is_free = store.share("build", AT_ONCE, |_| ()).is_ok();
            stock.asked.push(format!("{path} {is_free}"));
        }
    });
    let mut prune = ci_build(state.path(), "prune --build-cache");
    let report = report(prune.env("DOCKER_HOST", engine.host()));
    assert_eq!(counts(&report), [(("deleted", "old"), 4)].into());
    let stock = stock.lock().unwrap();
    let count = |what: &dyn Fn(&String) -> bool| stock.asked.iter().filter(|asked| what(asked)).count();
    assert_eq!(count(&|asked| asked == "/build/prune false"), 2, "{:?}", stock.asked);
    assert_eq!(
        count(&|asked| asked.starts_with("/images/") && asked.ends_with(" true")),
        2,
        "{:?}",
        stock.asked
    );
}

#[test]
fn build_cache_stays_beside_a_build_that_its_end_would_break() {
    let state = tempfile::tempdir().unwrap();
    let store = Store::open_in(state.path(), Identity::Docker("E".into())).unwrap();
    let _build = store.share("build", AT_ONCE, |_| ()).unwrap();
    for (stock, stays) in [(fragile(), true), (Stock { version: None, ..fragile() }, false)] {
        let (engine, _) = stock.start(|_, _, _| {});
        let mut prune = ci_build(state.path(), "prune --build-cache --older-than 0 --grace 0 --format json");
        let output = prune.env("DOCKER_HOST", engine.host()).output().unwrap();
        let report = serde_json::from_slice(&output.stdout).unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(
            said.contains("note: build cache stays: a prune beside a build ends this engine"),
            stays,
            "{said}"
        );
        let counted = match stays {
            true => [(("deleted", "old"), 2), (("stays", "store-in-use"), 2)].into(),
            false => [(("deleted", "old"), 4)].into(),
        };
        assert_eq!(counts(&report), counted);
    }
}
