//! A unit of several directories goes whole or stays whole, also where something gets in the way of its removal.

use std::time::Duration;

use ci_build::sweep::{Allowed, By, Empty, Event, How, Job, Layout, Looked, Owners, Rules};

use super::ground::{DAY, Ground};

const REPOSITORIES: [&str; 2] = ["a-1", "b-1"];

#[test]
fn a_unit_that_cannot_go_keeps_all_of_its_names() {
    let ground = Ground::new();
    for repository in REPOSITORIES {
        ground.file(format!("git/checkouts/{repository}/abc/Cargo.toml"), 30 * DAY);
        ground.file(format!("git/db/{repository}/HEAD"), 30 * DAY);
    }
    ground.age_directories(30 * DAY);
    let before = ground.left();
    let job = Job {
        path: ground.tree(),
        layout: Layout::Cargo,
        rules: Rules { older_than: Some(7 * DAY), ..Rules::default() },
        by: By::Mtime,
        how: How { owners: Owners::Any, batch: 1000, per_second: None, empty: Empty::Never },
        allowed: Allowed::default(),
        locks: Vec::new(),
        wait: Duration::ZERO,
        threads: 1,
        state: ground.state(),
        trail: None,
    };
    // While the first repository goes, the name is taken that the second one's `db` would get, whose `checkouts` come before that.
    let mut blocked = None;
    let mut failed = Vec::new();
    job.sweep(job.open().unwrap(), |looked, event| match event {
        Event::Removed { id, .. } if blocked.is_none() => blocked = Some(block(&ground, looked, *id)),
        Event::Failed(id, _) => failed.push(String::from_utf8(looked.scan.tree.path(*id)).unwrap()),
        _ => {}
    })
    .unwrap();
    let blocked = blocked.unwrap();
    assert_eq!(failed, [format!("git/db/{blocked}")]);
    let is_its = |path: &&String| path.contains(blocked);
    let left = ground.left();
    assert_eq!(
        left.iter().filter(is_its).collect::<Vec<_>>(),
        before.iter().filter(is_its).collect::<Vec<_>>(),
        "{left:?}"
    );
    assert!(!left.iter().any(|path| path.ends_with("HEAD") && !path.contains(blocked)), "the other one went");
}

/// Takes the name under which the `db` of the repository would go that is not the one of this entry, and tells which that is.
fn block(ground: &Ground, looked: &Looked, of: ci_build::sweep::Id) -> &'static str {
    let tree = &looked.scan.tree;
    let path = |id| String::from_utf8(tree.path(id)).unwrap();
    let other = REPOSITORIES.into_iter().find(|repository| !path(of).contains(repository)).unwrap();
    let db = tree.ids().find(|&id| path(id) == format!("git/db/{other}")).unwrap();
    let aside = format!("git/db/.ci-build-swept-{}-{}", std::process::id(), db.index());
    std::fs::write(ground.tree().join(aside), "").unwrap();
    other
}
