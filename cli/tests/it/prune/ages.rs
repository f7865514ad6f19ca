//! What prune says it knows of when images were used.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use super::super::engine::FakeEngine;
use super::super::lock::command::ci_build;
use super::stock::{Stock, counts, report};

/// What a prune goes by, and the notes that it gives people.
fn ages(state: &Path, engine: &FakeEngine, line: &str) -> (String, String) {
    let mut prune = ci_build(state, &format!("prune --format json --disk /proc {line}"));
    let output = prune.env("DOCKER_HOST", engine.host()).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    (report["ages"].as_str().unwrap().into(), String::from_utf8(output.stderr).unwrap())
}

/// A watch, until it is dropped.
struct Watch {
    child: Child,
    said: BufReader<ChildStderr>,
}

impl Watch {
    /// On return it follows the engine's events.
    fn new(state: &Path, engine: &FakeEngine) -> Self {
        let mut watch = ci_build(state, "watch");
        let mut child = watch.env("DOCKER_HOST", engine.host()).stderr(Stdio::piped()).spawn().unwrap();
        let said = BufReader::new(child.stderr.take().unwrap());
        let mut watch = Self { child, said };
        assert!(watch.said.by_ref().lines().any(|line| line.unwrap().starts_with("following")));
        watch
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.child.kill().and_then(|()| self.child.wait()).unwrap();
    }
}

#[test]
fn uses_are_known_by_a_watch_that_is_as_long_as_images_stay() {
    let (engine, _) = Stock::made(2, 1).start(|_, _, _| {});
    let state = tempfile::tempdir().unwrap();
    let watch = Watch::new(state.path(), &engine);
    let (first, note) = ages(state.path(), &engine, "");
    assert_eq!(first, "creation", "{note}");
    insta::assert_snapshot!(note, @"note: this is the first prune, and `ci-build watch` has not run for --older-than: images of which no use is known are as old as they were made");
    let (later, note) = ages(state.path(), &engine, "");
    assert!(note.starts_with("note: `ci-build watch` runs since "), "{note}");
    assert!(note.ends_with(": uses before that are known in part\n"), "{note}");
    assert_eq!(later, "records");
    let long = ages(state.path(), &engine, "--older-than 0 --grace 0");
    assert_eq!(long, ("watch".into(), String::new()));

    drop(watch);
    let (later, note) = ages(state.path(), &engine, "");
    assert!(note.starts_with("note: `ci-build watch` does not run: uses since "), "{note}");
    assert_eq!(later, "records");
}

/// An engine waits for the end of the time that it is asked about, and tells of uses, by its own clock.
#[test]
fn an_engine_is_asked_by_its_own_clock() {
    for hours in [-1, 1] {
        let ahead = SignedDuration::from_hours(hours);
        let its_now = Timestamp::now() + ahead;
        let events = json!({
            "Type": "container", "Action": "start", "timeNano": its_now.as_nanosecond() as i64,
            "Actor": { "ID": "c", "Attributes": { "image": "app:0" } },
        });
        let stock = Stock { ahead, events: events.to_string(), ..Stock::made(2, 1000) };
        let (engine, stock) = stock.start(|_, _, _| {});
        let state = tempfile::tempdir().unwrap();
        let report = report(ci_build(state.path(), "prune --disk /proc").env("DOCKER_HOST", engine.host()));
        assert_eq!(counts(&report), [(("deleted", "old"), 1), (("stays", "grace"), 1)].into());
        let stock = stock.lock().unwrap();
        let asked: Vec<f64> = stock.asked.iter().filter_map(|asked| until(asked)).collect();
        assert!(asked.len() >= 2, "at the look and before each deletion: {:?}", stock.asked);
        for until in asked {
            let is_late = until - its_now.as_second() as f64;
            assert!((-1.0..60.0).contains(&is_late), "{is_late} s late, {hours} h ahead");
        }
    }
}

/// Up to when a question about events asks, in seconds.
fn until(asked: &str) -> Option<f64> {
    asked.strip_prefix("GET /events?")?.split('&').find_map(|pair| pair.strip_prefix("until=")?.parse().ok())
}
