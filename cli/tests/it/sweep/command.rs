//! `ci-build sweep`, as scripts use it.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use ci_build::sweep::{Event, Layout};
use rustix::fs::{FlockOperation, fcntl_lock, flock};
use serde_json::Value;

use super::ground::{DAY, Ground, HOUR, set_age};

fn text(bytes: &[u8], ground: &Ground) -> String {
    String::from_utf8_lossy(bytes).replace(&ground.path().display().to_string(), "")
}

#[test]
fn what_is_old_goes_and_the_rest_is_told() {
    let ground = Ground::new();
    ground.file("old/a", 8 * DAY);
    ground.file("old/b\n", 9 * DAY);
    ground.file("new", HOUR);
    ground.file("kept", 30 * DAY);
    ground.age_directories(20 * DAY);
    let output = ground.run("--dry-run --keep kept");
    let told = text(&output.stdout, &ground);
    let told: Vec<&str> = told.lines().map(|line| line.split(", used").next().unwrap()).collect();
    assert_eq!(told.len(), 3);
    assert!(
        told.contains(&"goes      old/a, 8.0 KiB") && told.contains(&"goes      old/b\\n, 8.0 KiB"),
        "{told:?}"
    );
    assert!(told[2].starts_with("/tree: 2 of 4 files would go, 16.0 KiB of 32.0 KiB would be freed, 1 empty directories would go; stay: 1 kept, 1 young; "), "{told:?}");
    let told = ground.sweep("--keep kept");
    assert_eq!((&told["removed_files"], &told["freed_bytes"]), (&2.into(), &16384.into()));
    assert_eq!(told["stays"], serde_json::json!({"kept": 1, "young": 1}));
    assert_eq!(ground.left(), ["kept", "new"]);
    let lines = ground.lines();
    let whats: Vec<&str> = lines.iter().map(|line| line["what"].as_str().unwrap()).collect();
    assert_eq!(whats, ["begin", "removed", "removed", "directory", "end"]);
    assert_eq!(lines[0]["rules"], "--older-than 168h --grace 10m --keep kept");
}

#[test]
fn what_somebody_has_stays() {
    let ground = Ground::new();
    let paths = ["open", "flocked", "posix", "shared", "free"].map(|name| ground.file(name, 30 * DAY));
    let mut other = Command::new("sh");
    other.args(["-c", "exec 3<\"$0\"; echo; read _"]).arg(&paths[0]);
    let mut other = other.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(other.stdout.take().unwrap()), &mut line)
        .unwrap();
    // Locks alone: the files are open here too, so this test's own process must not be what is seen.
    let open = |path| File::options().read(true).write(true).open(path).unwrap();
    let locked = [open(&paths[1]), open(&paths[2]), open(&paths[3])];
    flock(&locked[0], FlockOperation::LockExclusive).unwrap();
    fcntl_lock(&locked[1], FlockOperation::LockExclusive).unwrap();
    flock(&locked[2], FlockOperation::LockShared).unwrap();
    let told = ground.sweep("");
    assert_eq!((&told["removed_files"], &told["stays"]), (&1.into(), &serde_json::json!({"open": 4})));
    assert_eq!(ground.left(), ["flocked", "open", "posix", "shared"]);
    drop((locked, other.stdin.take()));
    other.wait().unwrap();
    // They were seen in use: that is a use.
    let told = ground.sweep("");
    assert_eq!((&told["removed_files"], &told["stays"]), (&0.into(), &serde_json::json!({"grace": 4})));
    let told = ground.sweep("--by mtime");
    assert_eq!(told["removed_files"], 4);
}

/// As tools do that lock a file beside the one they work on, such as those with python's filelock.
#[test]
fn a_file_stays_while_the_lock_beside_it_is_held() {
    let ground = Ground::new();
    let locks = ["model.bin.lock", "sub/.data.lock", "free.lock"].map(|name| ground.file(name, HOUR));
    for name in ["model.bin", "sub/data", "free", "other"] {
        ground.file(name, 30 * DAY);
    }
    let held = [&locks[0], &locks[1]].map(|lock| File::open(lock).unwrap());
    held.iter().for_each(|file| flock(file, FlockOperation::LockExclusive).unwrap());
    let told = ground.sweep("--empty never");
    let stays = serde_json::json!({"tool-locked": 2, "young": 3});
    assert_eq!((&told["removed_files"], &told["stays"]), (&2.into(), &stays));
    drop(held);
    // They were no use of the files themselves.
    assert_eq!(ground.sweep("--empty never")["removed_files"], 2);
    assert_eq!(ground.left(), ["free.lock", "model.bin.lock", "sub", "sub/.data.lock"]);
}

#[test]
fn what_is_no_plain_file_stays_and_links_are_not_followed() {
    let ground = Ground::new();
    let outside = ground.path().join("outside");
    std::fs::write(&outside, "sentinel").unwrap();
    set_age(&outside, 30 * DAY, 30 * DAY);
    let link = ground.tree().join("link");
    symlink(&outside, &link).unwrap();
    set_age(&link, 30 * DAY, 30 * DAY);
    let socket = ground.tree().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    set_age(&socket, 30 * DAY, 30 * DAY);
    let told = ground.sweep("");
    assert_eq!((&told["removed_files"], &told["stays"]), (&1.into(), &serde_json::json!({"special": 1})));
    assert!(outside.exists() && !link.exists() && socket.exists());
}

#[test]
fn a_use_that_is_told_counts() {
    let ground = Ground::new();
    let used = ground.file("models/used", 30 * DAY);
    ground.file("models/not", 30 * DAY);
    let mut touch = super::super::lock::command::ci_build(&ground.state(), "sweep --touch");
    let output = touch.arg(&used).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "1 files are used now\n");
    ground.sweep("--empty never");
    assert_eq!(ground.left(), ["models", "models/used"]);
}

/// Whoever's sweep it is: the lock is that of the directory, not of the state.
#[test]
fn two_do_not_sweep_one_directory() {
    let ground = Ground::new();
    ground.file("old", 30 * DAY);
    let mut job = super::whole::job(&ground, Layout::Files);
    job.state = ground.path().join("other-state");
    let mut others = Vec::new();
    job.sweep(job.open().unwrap(), |_, event| {
        if matches!(event, Event::Removed { .. }) {
            others.push(ground.sweep("")["skipped"].clone());
        }
    })
    .unwrap();
    assert_eq!(others, [true]);
    ground.file("old", 30 * DAY);
    assert_eq!(ground.sweep("")["removed_files"], 1);
}

#[test]
fn our_own_state_is_not_swept() {
    let ground = Ground::new();
    ground.file("old", 30 * DAY);
    ground.sweep("");
    for directory in [ground.state(), ground.state().join("sweep")] {
        let mut sweep = super::super::lock::command::ci_build(&ground.state(), "sweep");
        let output = sweep.arg(directory).output().unwrap();
        let told = text(&output.stderr, &ground);
        assert!(
            told.contains("is not swept: locks and records") && output.status.code() == Some(2),
            "{told}"
        );
    }
    // In what is swept it stays.
    let mut sweep = super::super::lock::command::ci_build(&ground.state(), "sweep --older-than 0 --grace 0");
    let output = sweep.arg(ground.path()).output().unwrap();
    assert!(ground.trail().exists() && output.status.success(), "{output:?}");
}

#[test]
fn wrong_usage_is_told() {
    let ground = Ground::new();
    let refused = |line: &str| {
        let output = super::super::lock::command::ci_build(&ground.state(), line).output().unwrap();
        assert!(output.stdout.is_empty() && output.status.code() == Some(2), "{output:?}");
        text(&output.stderr, &ground)
    };
    insta::assert_snapshot!(refused("sweep"), @r"
    error: nothing to sweep: neither a directory nor --preset is given
      help: name a directory, or a tool: `ci-build sweep --preset torch,huggingface`
    ");
    insta::assert_snapshot!(refused("sweep --older-than 5m --grace 6m /tmp"), @r"
    error: --grace 6m is longer than --older-than 5m, so nothing old would go
      help: give --grace 5m or less
    ");
    insta::assert_snapshot!(refused("sweep --owner nobody-knows /tmp"), @r"
    error: there is no user 'nobody-knows'
      help: name one of /etc/passwd, a number, `self` or `any`
    ");
    assert!(
        refused("sweep /nowhere/at/all")
            .starts_with("error: cannot open the directory '/nowhere/at/all': No such file")
    );
    assert!(refused("sweep --preset maven").contains("there is torch, huggingface"));
    assert!(
        refused("sweep --preset pip,npm /x").starts_with("error: directories are given with several presets")
    );
    ground.file("home/.package-cache", DAY);
    ground.file("home/registry/cache/x/a.crate", DAY);
    let registry = ground.tree().join("home/registry");
    insta::assert_snapshot!(refused(&format!("sweep --preset cargo {}", registry.display())), @r"
    error: '/tree/home/registry' is but a part of a cache: its tool has its lock in '/tree/home'
      help: name '/tree/home'
    ");
    std::fs::remove_dir_all(ground.tree().join("home")).unwrap();
    insta::assert_snapshot!(refused("sweep --cache-mount x --format json"), @r"
    error: --format json has nothing to tell of a cache mount: what went is in the build's output
      help: without it the build's output is shown
    ");
    for ignored in ["/tmp", "--owner self", "--trail t"] {
        assert!(refused(&format!("sweep --cache-mount x {ignored}")).contains("cannot be used with"));
    }
    // One that is refused is reason enough to touch none.
    ground.file("old", 30 * DAY);
    let tree = ground.tree();
    assert!(refused(&format!("sweep {} /etc", tree.display())).contains("the system is in it"));
    assert_eq!(ground.left(), ["old"]);
}

#[test]
fn thresholds_come_from_the_environment() {
    let ground = Ground::new();
    ground.file("a", 2 * DAY);
    ground.file("b", HOUR);
    let mut sweep = super::super::lock::command::ci_build(&ground.state(), "sweep --format json");
    sweep
        .env("CI_BUILD_SWEEP_DIR", ground.tree())
        .env("CI_BUILD_SWEEP_OLDER_THAN", "1d")
        .env("CI_BUILD_SWEEP_IO", "normal");
    let output = sweep.output().unwrap();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["directories"][0]["removed_files"], 1, "{output:?}");
    assert_eq!(ground.left(), ["b"]);
}

#[test]
fn owners_are_respected() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let ground = Ground::new();
    let foreign = ground.file("foreign", 30 * DAY);
    std::os::unix::fs::chown(&foreign, Some(1234), None).unwrap();
    set_age(&foreign, 30 * DAY, 30 * DAY);
    ground.file("own", 30 * DAY);
    let told = ground.sweep("--owner self");
    assert_eq!((&told["removed_files"], &told["stays"]), (&1.into(), &serde_json::json!({"foreign": 1})));
    assert_eq!(ground.sweep("--owner 1234")["removed_files"], 1);
}

#[test]
fn patterns_say_what_may_go_and_what_counts() {
    let ground = Ground::new();
    for name in ["a.o", "sub/b.o", "sub/generated.o", "notes.txt"] {
        ground.file(name, 30 * DAY);
    }
    let told = ground.sweep("--include *.o --exclude generated.* --empty never");
    assert_eq!((&told["removed_files"], &told["files"]), (&2.into(), &3.into()));
    assert_eq!(told["stays"], serde_json::json!({"excluded": 1, "outside": 1}));
    assert_eq!(ground.left(), ["notes.txt", "sub", "sub/generated.o"]);
}

#[test]
fn a_cache_stays_while_its_tool_has_its_lock() {
    let ground = Ground::new();
    ground.file("registry/cache/x/a.crate", 30 * DAY);
    let lock = File::open(ground.file(".package-cache", HOUR)).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    let sweep = || ground.sweep("--preset cargo --wait 0 --empty never");
    assert_eq!(sweep()["stays"], serde_json::json!({"tool-locked": 1}));
    drop(lock);
    assert_eq!(sweep()["removed_files"], 1);
}

#[test]
fn a_preset_sweeps_a_directory_by_its_units() {
    let ground = Ground::new();
    let revision = |name: &str, age| {
        ground.file(format!("models--a/blobs/{name}"), age);
        let link = ground.tree().join(format!("models--a/snapshots/{name}/model"));
        std::fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(format!("../../blobs/{name}"), &link).unwrap();
        set_age(&link, age, age);
    };
    revision("old", 30 * DAY);
    revision("new", HOUR);
    // A link is old, its blob is not: it stays, whole.
    revision("read", 30 * DAY);
    set_age(&ground.tree().join("models--a/blobs/read"), HOUR, 30 * DAY);
    ground.age_directories(30 * DAY);
    let lock = ground.file(".locks/models--a/x.lock", 30 * DAY);
    let held = File::open(&lock).unwrap();
    flock(&held, FlockOperation::LockExclusive).unwrap();
    let told = ground.sweep("--preset huggingface");
    assert_eq!(
        (&told["removed_files"], &told["stays"]),
        (&0.into(), &serde_json::json!({"tool-locked": 1, "young": 2}))
    );
    drop(held);
    let told = ground.sweep("--preset huggingface");
    assert_eq!((&told["removed_files"], &told["stays"]), (&2.into(), &serde_json::json!({"young": 2})));
    assert!(ground.left().contains(&"models--a/snapshots/new/model".to_owned()));
    assert!(
        lock.exists() && !ground.left().iter().any(|path| path.contains("old") || path.contains("swept"))
    );
}

#[test]
fn a_directory_in_which_a_preset_knows_nothing_is_told() {
    let ground = Ground::new();
    let told = |preset: &str| text(&ground.run(&format!("--preset {preset} --by mtime")).stderr, &ground);
    ground.file("hub/models--a/blobs/old", 30 * DAY);
    assert_eq!(
        told("npm"),
        "note: none of the 1 files in '/tree' is what the preset knows: name its cache itself\n"
    );
    // What all of it is in may be named too.
    assert_eq!((told("huggingface").as_str(), ground.left().len()), ("", 3));
    assert_eq!(told("npm"), "");
}

/// torch makes its directory, opens the URL, and then the file in it: it would not find the directory any more.
#[test]
fn a_directory_stays_that_a_tool_made_for_what_it_fetches() {
    let ground = Ground::new();
    ground.file("torch/checkpoints/old.pth", 30 * DAY);
    ground.file("models--a/blobs/old", 30 * DAY);
    ground.age_directories(30 * DAY);
    let sweep = |preset: &str, directory: &str| {
        let line = format!("sweep --io normal --format json --preset {preset}");
        let mut sweep = super::super::lock::command::ci_build(&ground.state(), &line);
        sweep.arg(ground.tree().join(directory)).output().unwrap();
        ground.left().join(" ")
    };
    assert_eq!(
        sweep("torch", "torch"),
        "models--a models--a/blobs models--a/blobs/old torch torch/checkpoints"
    );
    // What was empty for long is not about to be filled; what became so by the sweep may be.
    ground.age_directories(30 * DAY);
    assert_eq!(sweep("huggingface", ""), "models--a models--a/blobs torch");
}

/// Root sweeps the caches of two users, one of whom put a link to somewhere else in the place of the cache.
#[test]
fn a_link_in_the_place_of_one_directory_keeps_nobody_from_the_others() {
    let ground = Ground::new();
    ground.file("mine/old", 30 * DAY);
    ground.file("theirs/old", 30 * DAY);
    let precious = ground.path().join("precious");
    std::fs::create_dir(&precious).unwrap();
    let sentinel = precious.join("old");
    std::fs::write(&sentinel, "sentinel").unwrap();
    set_age(&sentinel, 30 * DAY, 30 * DAY);
    let theirs = ground.tree().join("theirs");
    std::fs::remove_dir_all(&theirs).unwrap();
    symlink(&precious, &theirs).unwrap();
    let sweep = |format: &str| {
        let line = format!("sweep --io normal --older-than 7d --format {format}");
        let mut sweep = super::super::lock::command::ci_build(&ground.state(), &line);
        sweep.args([&theirs, &ground.tree().join("gone"), &ground.tree().join("mine")]).output().unwrap()
    };
    let output = sweep("json");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    assert!(sentinel.exists());
    assert_eq!(ground.left(), ["mine", "theirs"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let directories = told["directories"].as_array().unwrap();
    let errors: Vec<bool> = directories.iter().map(|told| told["error"].is_string()).collect();
    assert_eq!(errors, [true, true, false]);
    assert_eq!(directories[2]["removed_files"], 1);
    let told = text(&output.stderr, &ground);
    // What the mount keeps of reads differs.
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with("note: ")).collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    warning: '/tree/theirs' is not swept to the end: cannot open the directory '/tree/theirs': Not a directory (os error 20)
      help: no link is followed: name the directory itself, '/precious'
    warning: '/tree/gone' is not swept to the end: cannot open the directory '/tree/gone': No such file or directory (os error 2)
    error: 2 of 3 directories were not swept to the end
      help: the warnings say why; the other ones were swept
    ");
    ground.file("mine/old", 30 * DAY);
    let output = sweep("text");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let told = text(&output.stdout, &ground);
    assert!(told.starts_with("/tree/mine: 1 of 1 files removed") && told.lines().count() == 1, "{told}");
}

/// More names than a thread takes at a time, so that two threads could meet at one file.
#[test]
fn a_file_with_two_names_is_freed_once_however_many_threads_remove() {
    const FILES: usize = 1500;
    let ground = Ground::new();
    std::fs::create_dir(ground.tree().join("again")).unwrap();
    for number in 0..FILES {
        let first = ground.file(format!("first/{number}"), 30 * DAY);
        std::fs::hard_link(first, ground.tree().join(format!("again/{number}"))).unwrap();
    }
    let told = ground.sweep("--threads 4 --empty never");
    assert_eq!((&told["removed_files"], &told["stays"]), (&(2 * FILES).into(), &serde_json::json!({})));
    assert_eq!(told["freed_bytes"], FILES * 8192);
    assert_eq!(ground.left(), ["again", "first"]);
}
