//! A dry run names what a prune would delete.

use std::collections::BTreeSet;

use super::super::lock::command::ci_build;
use super::stock::{Container, Stock, counts, hours_ago, report};

/// What goes in a dry run and is deleted without it, by the names, and what the dry run says of all.
fn both(line: &str, stock: impl Fn() -> Stock) -> serde_json::Value {
    let run = |more: &str| {
        let (engine, _) = stock().start(|_, _, _| {});
        let state = tempfile::tempdir().unwrap();
        let line = format!("prune {line} {more}");
        report(ci_build(state.path(), &line).env("DOCKER_HOST", engine.host()))
    };
    let names = |report: &serde_json::Value, action: &str| -> BTreeSet<String> {
        let things = report["things"].as_array().unwrap().iter();
        things.filter(|thing| thing["action"] == action).map(|thing| thing["name"].to_string()).collect()
    };
    let (dry, real) = (run("--dry-run"), run(""));
    assert_eq!(names(&dry, "goes"), names(&real, "deleted"), "{line}");
    dry
}

#[test]
fn an_image_that_was_tagged_a_short_while_ago_stays() {
    let dry = both("--disk /proc", || {
        let mut stock = Stock::made(3, 1000);
        stock.images.first_entry().unwrap().get_mut().tagged = Some(hours_ago(1));
        stock
    });
    assert_eq!(counts(&dry), [(("goes", "old"), 2), (("stays", "young"), 1)].into());
}

#[test]
fn a_container_goes_by_its_end_and_keeps_its_image() {
    let stock = |hours| {
        let ended = Some(hours_ago(hours));
        let container = Container { image: 0, created: hours_ago(1000), ended, is_ours: true };
        Stock { containers: [("c".into(), container)].into(), ..Stock::made(1, 2000) }
    };
    let dry = both("--disk /proc --containers", || stock(1));
    assert_eq!(counts(&dry), [(("stays", "young"), 1), (("stays", "container"), 1)].into());
    let dry = both("--disk /proc --containers", || stock(900));
    assert_eq!(counts(&dry), [(("goes", "old"), 2)].into());
}

/// How much goes before there is room, nobody can tell: images share layers.
#[test]
fn what_goes_for_the_disk_alone_is_the_most() {
    let line = "--disk / --disk-high 0 --disk-low 0";
    let stock = || {
        let mut stock = Stock::made(3, 24);
        stock.images.first_entry().unwrap().get_mut().created = hours_ago(1000);
        stock
    };
    let dry = both(line, stock);
    assert_eq!(counts(&dry), [(("goes", "old"), 1), (("goes", "pressure"), 2)].into());
    let (engine, _) = stock().start(|_, _, _| {});
    let state = tempfile::tempdir().unwrap();
    let mut prune = ci_build(state.path(), &format!("prune --dry-run {line}"));
    let output = prune.env("DOCKER_HOST", engine.host()).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let summary = said.lines().last().unwrap();
    assert!(summary.starts_with("1 would go, 2 more at most until there is room, 0 stay; "), "{said}");
}
