//! What happens to an image after it was chosen and before it is deleted: each keeps it.

use std::path::Path;

use ci_build::store::{Identity, Lease, Store, Term};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::lock::command::ci_build;
use super::stock::{Container, Stock, image_id, report};

/// What a prune does with one old image, where this happens after the choice: right before the engine tells of the image alone,
/// or, while leases can still be added, right before it tells what has happened so far.
fn pruned(is_early: bool, happens: fn(&mut Stock, &Store)) -> (String, String) {
    pruned_of(Stock::made(1, 1000), is_early, happens).0
}

/// The same with the one image of this stock, and what the engine was asked.
fn pruned_of(
    stock: Stock,
    is_early: bool,
    happens: fn(&mut Stock, &Store),
) -> ((String, String), Vec<String>) {
    let state = tempfile::tempdir().unwrap();
    let store = open(state.path());
    let (of_image, mut is_over) = (format!("/images/{}/json", image_id(0)), false);
    let (engine, stock) = stock.start(move |stock, _, path| {
        let is_time = path == if is_early { "/events" } else { &of_image };
        if is_time && !std::mem::replace(&mut is_over, true) {
            happens(stock, &store);
        }
    });
    let report = report(ci_build(state.path(), "prune --disk /proc").env("DOCKER_HOST", engine.host()));
    let thing = |key: &str| report["things"][0][key].as_str().unwrap().to_owned();
    let (action, cause) = (thing("action"), thing("cause"));
    let stock = stock.lock().unwrap();
    assert_eq!(stock.left().len(), usize::from(action == "stays"), "{report:#}");
    ((action, cause), stock.asked.clone())
}

fn open(state: &Path) -> Store {
    Store::open_in(state, Identity::Docker("E".into())).unwrap()
}

fn stays(cause: &str) -> (String, String) {
    ("stays".into(), cause.into())
}

#[test]
fn without_anything_it_goes() {
    assert_eq!(pruned(false, |_, _| ()), ("deleted".into(), "old".into()));
    assert_eq!(pruned(true, |_, _| ()), ("deleted".into(), "old".into()));
}

#[test]
fn a_lease_keeps_it() {
    let by_name = pruned(true, |_, store| lease(store, "docker.io/library/app:0", String::new()));
    let by_id = pruned(true, |_, store| lease(store, "other", image_id(0)));
    assert_eq!((by_name, by_id), (stays("leased"), stays("leased")));
}

fn lease(store: &Store, name: &str, id: String) {
    let term = Term::Until(Timestamp::now() + SignedDuration::from_hours(1));
    store.leases().unwrap().add(&Lease::new(store.identity(), name.into(), id, term)).unwrap();
}

#[test]
fn a_container_keeps_it() {
    assert_eq!(pruned(false, |stock, _| add_container(stock)), stays("container"));
}

/// An engine that is to take one of several names does not look for containers.
#[test]
fn a_container_keeps_all_of_its_names() {
    let mut stock = Stock::made(1, 1000);
    stock.images.values_mut().for_each(|image| image.names.push("release:1".into()));
    let (outcome, asked) = pruned_of(stock, false, |stock, _| add_container(stock));
    assert_eq!(outcome, stays("container"));
    assert!(!asked.iter().any(|line| line.starts_with("DELETE")), "{asked:#?}");
}

fn add_container(stock: &mut Stock) {
    let container = Container { image: 0, created: Timestamp::now(), ended: None, is_ours: false };
    stock.containers.insert("c".into(), container);
}

/// The container is gone again.
#[test]
fn a_use_that_the_engine_tells_of_keeps_it() {
    let used = pruned(false, |stock, _| {
        stock.events = json!({
            "Type": "container", "Action": "start", "timeNano": Timestamp::now().as_nanosecond() as i64,
            "Actor": { "ID": "c", "Attributes": { "image": "app:0" } },
        })
        .to_string();
    });
    assert_eq!(used, stays("grace"));
}

#[test]
fn a_use_that_another_command_writes_down_keeps_it() {
    let used = pruned(false, |_, store| store.last_uses().unwrap().touch(&image_id(0)).unwrap());
    assert_eq!(used, stays("grace"));
}

#[test]
fn a_new_name_keeps_it() {
    let named = pruned(false, |stock, _| {
        stock.images.values_mut().for_each(|image| image.names.push("release:1".into()));
    });
    assert_eq!(named, stays("renamed"));
}

#[test]
fn what_somebody_else_deleted_is_gone() {
    assert_eq!(pruned(false, |stock, _| stock.images.clear()), ("gone".into(), "gone".into()));
}
