//! A unit of several directories goes whole or stays whole, also where something gets in the way of its removal.

use std::fs::{File, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ci_build::sweep::{Allowed, By, Empty, Event, How, Job, Layout, Looked, Owners, Reason, Rules};
use rustix::fs::{FlockOperation, flock};

use super::ground::{DAY, Ground, set_age};

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
    let job = job(&ground, Layout::Cargo);
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

/// What waits for its turn is looked at after that: a tool puts a new file there meanwhile.
#[test]
fn what_is_new_when_its_turn_comes_stays() {
    let ground = Ground::new();
    let files: Vec<PathBuf> = (0..3).map(|number| ground.file(number.to_string(), 30 * DAY)).collect();
    let mut job = job(&ground, Layout::Files);
    job.how.per_second = Some(2);
    let (begun, is_begun) = std::sync::mpsc::channel();
    let tool = std::thread::spawn(move || {
        is_begun.recv().unwrap();
        for file in &files {
            std::fs::write(file.with_extension("new"), "new").unwrap();
            std::fs::rename(file.with_extension("new"), file).unwrap();
        }
    });
    job.sweep(job.open().unwrap(), |_, event| {
        if matches!(event, Event::Removed { .. }) {
            let _ = begun.send(());
        }
    })
    .unwrap();
    tool.join().unwrap();
    assert_eq!(ground.left(), ["0", "1", "2"]);
}

/// However few files a second go, a tool is not kept from its cache for long.
#[test]
fn a_tool_gets_its_lock_in_the_midst_of_a_slow_sweep() {
    const FILES: usize = 12;
    let ground = Ground::new();
    (0..FILES).for_each(|number| drop(ground.file(number.to_string(), 30 * DAY)));
    let lock = ground.file("lock", Duration::ZERO);
    let mut job = job(&ground, Layout::Files);
    job.how.per_second = Some(4);
    (job.locks, job.wait) = (vec!["lock".into()], Duration::from_secs(60));
    let removed = Arc::new(AtomicUsize::new(0));
    let (begun, is_begun) = std::sync::mpsc::channel();
    let seen = removed.clone();
    let tool = std::thread::spawn(move || {
        is_begun.recv().unwrap();
        let lock = File::open(lock).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        seen.load(Ordering::Relaxed)
    });
    job.sweep(job.open().unwrap(), |_, event| {
        if matches!(event, Event::Removed { .. }) {
            removed.fetch_add(1, Ordering::Relaxed);
            let _ = begun.send(());
        }
    })
    .unwrap();
    let before = tool.join().unwrap();
    assert!(before < FILES, "it had to wait for the end");
    assert_eq!(removed.load(Ordering::Relaxed), FILES);
}

/// Go takes the right to write from all directories of a module, so that nobody changes it.
#[test]
fn a_module_of_go_goes_whole() {
    let ground = Ground::new();
    for path in ["x.go", "sub/y.go", "sub/deep/z.go"] {
        ground.file(format!("example.org/m@v1.0.0/{path}"), 30 * DAY);
    }
    ground.file("cache/download/example.org/m/@v/v1.0.0.zip", 30 * DAY);
    ground.age_directories(30 * DAY);
    for path in ["sub/deep", "sub", ""] {
        let directory = ground.tree().join("example.org/m@v1.0.0").join(path);
        std::fs::set_permissions(directory, Permissions::from_mode(0o555)).unwrap();
    }
    // Root may do all that as long as it has the capabilities.
    let sweep = ground.command("--older-than 7d --preset go --empty never --format json");
    let mut unprivileged = Command::new("setpriv");
    unprivileged.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", "--"]);
    unprivileged.arg(sweep.get_program()).args(sweep.get_args());
    for (name, value) in sweep.get_envs() {
        unprivileged.env(name, value.unwrap_or_default());
    }
    let output = unprivileged.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["directories"][0]["removed_files"], 4, "{output:?}");
    let left = ["cache", "cache/download", "cache/download/example.org", "cache/download/example.org/m"];
    assert_eq!(ground.left(), [&left[..], &["cache/download/example.org/m/@v", "example.org"]].concat());
}

/// Who was not seen to have it has it by now.
#[test]
fn what_was_locked_since_the_look_stays() {
    let ground = Ground::new();
    let files = ["a", "b", "c"].map(|name| ground.file(name, 30 * DAY));
    let job = job(&ground, Layout::Files);
    let (mut held, mut stay) = (Vec::new(), Vec::new());
    job.sweep(job.open().unwrap(), |_, event| match event {
        Event::Removed { .. } => {
            held.extend(files.iter().filter_map(|file| File::open(file).ok()));
            held.iter().for_each(|file| flock(file, FlockOperation::LockExclusive).unwrap());
        }
        Event::Stays(_, reason) => stay.push(*reason),
        _ => {}
    })
    .unwrap();
    assert_eq!((held.len(), stay), (2, vec![Reason::Locked; 2]));
}

/// A sweep of what is older than a week.
pub(super) fn job(ground: &Ground, layout: Layout) -> Job {
    Job {
        path: ground.tree(),
        layout,
        rules: Rules { older_than: Some(7 * DAY), ..Rules::default() },
        by: By::Mtime,
        how: How { owners: Owners::Any, batch: 1000, per_second: None, empty: Empty::Never },
        allowed: Allowed::default(),
        locks: Vec::new(),
        wait: Duration::ZERO,
        threads: 1,
        state: ground.state(),
        trail: None,
    }
}

/// To link a blob that is there already leaves no sign on the blob, and needs none of the tool's locks.
#[test]
fn a_blob_stays_that_a_new_revision_needs() {
    let ground = Ground::new();
    for repository in ["models--a", "models--b"] {
        for (revision, blobs) in [("one", ["x", "both"]), ("two", ["y", "both"])] {
            for blob in blobs {
                ground.file(format!("{repository}/blobs/{blob}"), 30 * DAY);
                link(&ground, repository, revision, blob);
            }
        }
    }
    ground.age_directories(30 * DAY);
    let mut job = job(&ground, Layout::Huggingface);
    job.how.empty = Empty::Now;
    let mut new = None;
    let mut stay = Vec::new();
    job.sweep(job.open().unwrap(), |looked, event| match event {
        Event::Removed { id, .. } if new.is_none() => {
            let path = String::from_utf8(looked.scan.tree.path(*id)).unwrap();
            let other = if path.starts_with("models--a") { "models--b" } else { "models--a" };
            link(&ground, other, "new", "both");
            new = Some(other);
        }
        Event::Stays(_, reason) => stay.push(*reason),
        _ => {}
    })
    .unwrap();
    let new = new.unwrap();
    assert_eq!(stay, [Reason::Touched; 2]);
    for revision in ["one", "two", "new"] {
        let link = ground.tree().join(new).join("snapshots").join(revision).join("both");
        assert!(link.exists(), "{revision}: {:?}", ground.left());
    }
    // Where nobody else changed anything, what we did ourselves keeps no revision.
    assert!(ground.left().iter().all(|path| path.starts_with(new)), "{:?}", ground.left());
}

/// A link of a revision to a blob.
fn link(ground: &Ground, repository: &str, revision: &str, blob: &str) {
    let directory = ground.tree().join(repository).join("snapshots").join(revision);
    std::fs::create_dir_all(&directory).unwrap();
    let link = directory.join(blob);
    symlink(format!("../../blobs/{blob}"), &link).unwrap();
    set_age(&link, 30 * DAY, 30 * DAY);
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
