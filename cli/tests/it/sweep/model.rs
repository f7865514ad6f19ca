//! What a sweep removes and what it says that freed, held against a naive model that walks by paths and looks at everything.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use proptest::prelude::*;

use super::ground::{Ground, set_age};
use super::naive::{Limits, look, model};

/// What is made in the tree. Directories are named by numbers: that of one that is not there yet is the tree itself.
#[derive(Debug, Clone)]
enum Make {
    Directory { inside: usize, name: Vec<u8>, hours: u64 },
    File { inside: usize, name: Vec<u8>, bytes: u64, is_sparse: bool, read: u64, changed: u64 },
    Hard { inside: usize, name: Vec<u8>, of: usize },
    Link { inside: usize, name: Vec<u8>, target: Vec<u8>, hours: u64 },
}

/// Names that somebody once forgot: line breaks, no UTF-8, quotes, a dash, dots, long ones.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let odd = [
        b"a\nb".to_vec(),
        b"\xff\xfe".to_vec(),
        b"-rf".to_vec(),
        b" ".to_vec(),
        b"...".to_vec(),
        b"\"\\'".to_vec(),
        b"\x1b[31m".to_vec(),
        vec![b'x'; 255],
        "\u{fc}".as_bytes().to_vec(),
    ];
    prop_oneof![3 => "[a-z]{1,3}".prop_map(String::into_bytes), 1 => proptest::sample::select(odd.to_vec())]
}

fn make() -> impl Strategy<Value = Make> {
    let (place, hours) = (0..12_usize, 0..200_u64);
    prop_oneof![
        2 => (place.clone(), name(), hours.clone())
            .prop_map(|(inside, name, hours)| Make::Directory { inside, name, hours }),
        5 => (place.clone(), name(), 0..100_000_u64, any::<bool>(), hours.clone(), hours.clone()).prop_map(
            |(inside, name, bytes, is_sparse, read, changed)| Make::File { inside, name, bytes, is_sparse, read, changed }
        ),
        2 => (place.clone(), name(), 0..12_usize).prop_map(|(inside, name, of)| Make::Hard { inside, name, of }),
        1 => (place, name(), name(), hours)
            .prop_map(|(inside, name, target, hours)| Make::Link { inside, name, target, hours }),
    ]
}

/// Makes it, as far as the names are free.
fn build(ground: &Ground, makes: &[Make]) {
    let mut directories = vec![ground.tree()];
    let mut files: Vec<PathBuf> = Vec::new();
    let mut ages = Vec::new();
    let place = |directories: &[PathBuf], inside: usize, name: &[u8]| -> PathBuf {
        directories[inside % directories.len()].join(OsString::from_vec(name.to_vec()))
    };
    for (number, make) in (0..).zip(makes) {
        // No two were used at the same time, so that there is one order.
        let ago = |hours: u64| Duration::from_secs(hours * 3600 + number);
        match make {
            Make::Directory { inside, name, hours } => {
                let path = place(&directories, *inside, name);
                if std::fs::create_dir(&path).is_ok() {
                    ages.push((path.clone(), ago(*hours)));
                    directories.push(path);
                }
            }
            Make::File { inside, name, bytes, is_sparse, read, changed } => {
                let path = place(&directories, *inside, name);
                let Ok(mut file) = File::create_new(&path) else { continue };
                if *is_sparse {
                    file.seek(SeekFrom::Start(bytes * 100)).unwrap();
                    file.write_all(b"end").unwrap();
                } else {
                    file.write_all(&vec![1; usize::try_from(*bytes).unwrap()]).unwrap();
                }
                set_age(&path, ago(*read), ago(*changed));
                files.push(path);
            }
            Make::Hard { inside, name, of } => {
                let path = place(&directories, *inside, name);
                if !files.is_empty() {
                    let _ = std::fs::hard_link(&files[of % files.len()], path);
                }
            }
            Make::Link { inside, name, target, hours } => {
                let path = place(&directories, *inside, name);
                if symlink(OsString::from_vec(target.clone()), &path).is_ok() {
                    set_age(&path, ago(*hours), ago(*hours));
                }
            }
        }
    }
    // What is made in a directory changes it.
    ages.iter().for_each(|(path, age)| set_age(path, *age, *age));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn it_removes_what_the_model_does(
        makes in proptest::collection::vec(make(), 0..40),
        older_than in proptest::option::of(1..200_u64),
        max_size in proptest::option::of(0..500_000_u64),
        max_files in proptest::option::of(0..20_u64),
        threads in 1..4_usize,
    ) {
        let limits = Limits { older_than, max_size, max_files };
        prop_assume!(older_than.is_some() || max_size.is_some() || max_files.is_some());
        let ground = Ground::new();
        build(&ground, &makes);
        let before = look(&ground.tree()).unwrap();
        let (gone, freed) = model(&before, limits);
        let mut flags = format!("--threads {threads}");
        older_than.iter().for_each(|hours| flags += &format!(" --older-than {hours}h"));
        max_size.iter().for_each(|size| flags += &format!(" --max-size {size}B"));
        max_files.iter().for_each(|files| flags += &format!(" --max-files {files}"));
        let expected = ground.sweep(&format!("{flags} --dry-run"));
        prop_assert_eq!(look(&ground.tree()).unwrap().len(), before.len(), "a dry run removed something");
        prop_assert!(!ground.state().exists(), "a dry run made something");
        let told = ground.sweep(&flags);
        let after: BTreeSet<PathBuf> = look(&ground.tree()).unwrap().into_keys().collect();
        let is_gone = |path: &&PathBuf| !after.contains(*path);
        let really: BTreeSet<PathBuf> = before.keys().filter(is_gone).cloned().collect();
        // Names of one file were used at the same time: which of them goes first, and empties its directory, is nobody's business.
        let has_hard = makes.iter().any(|make| matches!(make, Make::Hard { .. }));
        if has_hard && max_files.is_some() {
            let files = |paths: &BTreeSet<PathBuf>| paths.iter().filter(|path| !before[*path].is_directory).count();
            prop_assert_eq!(files(&really), files(&gone));
        } else {
            prop_assert_eq!(&really, &gone);
            prop_assert_eq!(told["freed_bytes"].as_u64(), Some(freed));
        }
        for key in ["removed_files", "removed_directories", "freed_bytes"] {
            prop_assert_eq!(&expected[key], &told[key], "{}", key);
        }
        // The trail says the same.
        let lines = ground.lines();
        let trail: u64 = lines.iter().filter(|line| line["what"] == "removed").map(|line| line["freed"].as_u64().unwrap()).sum();
        prop_assert_eq!(Some(trail), told["freed_bytes"].as_u64());
        prop_assert_eq!(lines.last().map(|line| &line["what"]), Some(&"end".into()));
        prop_assert_eq!(lines.last().map(|line| &line["freed"]), Some(&told["freed_bytes"]));
        // And again: nothing more, but what limits on sizes leave alone for its age.
        let again = ground.sweep(&flags);
        prop_assert_eq!(again["removed_files"].as_u64(), Some(0));
    }
}
