//! How much goes for the sake of the disk. The disks are of the tests' own, in memory, and have less on them with each image
//! that the engine deletes.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::super::lock::command::ci_build;
use super::stock::{Stock, counts, hours_ago, image_id, report};

/// How many images there are.
const IMAGES: usize = 20;

/// Does this on a disk of 100 pages and 100 inodes, in a mount namespace that ends with it: in another process, which runs
/// the test of this name once more.
fn on_a_disk(test: &str, work: impl FnOnce(&Path)) {
    const DISK: &str = "CI_BUILD_TEST_DISK";
    if let Some(disk) = std::env::var_os(DISK) {
        return work(Path::new(&disk));
    }
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new("unshare");
    // Who is not root is root in a user namespace.
    if !rustix::process::geteuid().is_root() {
        command.arg("--map-root-user");
    }
    let script = format!(
        "mount -t tmpfs -o nr_blocks=100,nr_inodes=100 disk \"${DISK}\" && exec \"$0\" --exact prune::disk::{test}"
    );
    command.args(["--mount", "sh", "-c", &script]).arg(std::env::current_exe().unwrap());
    let output = command.env(DISK, place.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{output:?}");
}

/// A directory of so many inodes, its own too, and with so many pages in its first file.
fn write(directory: &Path, pages: usize, inodes: usize) {
    fs::create_dir(directory).unwrap();
    let page = rustix::fs::statvfs(directory).unwrap().f_frsize as usize;
    for file in 1..inodes {
        let pages = if file == 1 { pages } else { 0 };
        fs::write(directory.join(file.to_string()), vec![1; pages * page]).unwrap();
    }
}

/// The report of a prune, the least recently used images first, and which are left. Each image has so many pages and inodes; with
/// other files the disk has so many of both in all, which is so many percent.
fn prune(
    disk: &Path,
    stock: Stock,
    image: (usize, usize),
    all: (usize, usize),
) -> (serde_json::Value, Vec<usize>) {
    write(&disk.join("others"), all.0 - IMAGES * image.0, all.1 - IMAGES * image.1 - 1);
    stock.images.keys().for_each(|id| write(&disk.join(id), image.0, image.1));
    let on_disk = disk.to_owned();
    let (engine, stock) = stock.start(move |_, method, path| {
        if method == "DELETE" {
            fs::remove_dir_all(on_disk.join(path.strip_prefix("/images/").unwrap())).unwrap();
        }
    });
    let state = tempfile::tempdir().unwrap();
    let mut prune = ci_build(state.path(), "prune");
    let report = report(prune.env("DOCKER_HOST", engine.host()).arg("--disk").arg(disk));
    assert_eq!(report["disk_before"]["used_percent"], all.0, "{report:#}");
    assert_eq!(report["disk_before"]["inodes_used_percent"], all.1, "{report:#}");
    let left = stock.lock().unwrap().left();
    (report, left)
}

#[test]
fn young_images_go_until_there_is_room() {
    on_a_disk("young_images_go_until_there_is_room", |disk| {
        let (report, left) = prune(disk, Stock::made(IMAGES, 24), (4, 2), (80, 60));
        assert_eq!(counts(&report), [(("deleted", "pressure"), 5), (("stays", "room"), 15)].into());
        assert_eq!(left, Vec::from_iter(5..IMAGES), "the least recently used go first");
        assert_eq!(report["disk_after"]["used_percent"], 60);
    });
}

#[test]
fn young_images_stay_while_there_is_room() {
    on_a_disk("young_images_stay_while_there_is_room", |disk| {
        let (report, _) = prune(disk, Stock::made(IMAGES, 24), (3, 2), (70, 90));
        assert_eq!(counts(&report), [(("stays", "young"), IMAGES)].into());
    });
}

/// They were made long ago and tagged today, which the engine tells of each alone: prune learns of it right before the deletion.
#[test]
fn images_that_turn_out_young_go_only_until_there_is_room() {
    on_a_disk("images_that_turn_out_young_go_only_until_there_is_room", |disk| {
        let mut stock = Stock::made(IMAGES, 1000);
        stock.images.values_mut().for_each(|image| image.tagged = Some(hours_ago(1)));
        let (report, _) = prune(disk, stock, (4, 2), (80, 60));
        assert_eq!(counts(&report), [(("deleted", "pressure"), 5), (("stays", "room"), 15)].into());
    });
}

/// The limit of the other, between its high and its low one, is not waited for.
#[test]
fn room_is_made_of_what_there_is_too_little_of() {
    on_a_disk("room_is_made_of_what_there_is_too_little_of", |disk| {
        let (report, _) = prune(disk, Stock::made(IMAGES, 24), (3, 2), (72, 90));
        assert_eq!(counts(&report), [(("deleted", "pressure"), 4), (("stays", "room"), 16)].into());
        assert_eq!(
            report["disk_after"]["inodes_used_percent"], 82,
            "above --inodes-low, which nobody asked for"
        );
    });
}

#[test]
fn young_images_go_for_their_inodes() {
    on_a_disk("young_images_go_for_their_inodes", |disk| {
        let (report, left) = prune(disk, Stock::made(IMAGES, 24), (1, 3), (70, 95));
        assert_eq!(counts(&report), [(("deleted", "pressure"), 5), (("stays", "room"), 15)].into());
        assert_eq!(left, Vec::from_iter(5..IMAGES));
        assert_eq!(report["disk_after"]["used_percent"], 65, "above --disk-low, which nobody asked for");
    });
}

/// The state directory has no inode left for the record of a new image.
#[test]
fn a_full_disk_keeps_nobody_from_freeing_it() {
    let mut looks = 0;
    let (engine, stock) = Stock::made(3, 1000).start(move |stock, _, path| {
        looks += usize::from(path == "/images/json");
        if looks == 2 {
            stock.images.extend(Stock::made(4, 1000).images.split_off(&image_id(3)));
        }
    });
    let script = format!(
        "export DOCKER_HOST={}; \"$ci\" prune --keep '*' 2>/dev/null >&2; number=0; \
         while touch \"$CI_BUILD_STATE_DIR/$number\" 2>/dev/null; do number=$((number + 1)); done; \"$ci\" prune --format json",
        engine.host()
    );
    let (stdout, stderr, code) = super::super::lock::disk::on_a_disk("nr_inodes=64", &script);
    assert_eq!((stock.lock().unwrap().left(), code), (vec![3], 0), "{stderr}");
    assert!(
        stderr.contains("warning: the disk is full, so it is not written down which images are new\n"),
        "{stderr}"
    );
    let report = serde_json::from_str(&stdout).unwrap();
    assert_eq!(counts(&report), [(("deleted", "old"), 3), (("stays", "grace"), 1)].into());
}
