//! Somebody who swaps directories for links to what is outside, as fast as possible. The laboratory uses it too.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ci_build::sweep::{Allowed, By, Empty, Error, Event, How, Job, Layout, Owners, Rules};
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, Timespec, Timestamps, mkdirat, openat, renameat_with, utimensat,
};

const DIRECTORIES: usize = 8;
const FILES: usize = 4;

/// Files that were used in 2001.
const OLD: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 },
    last_modification: Timespec { tv_sec: 1_000_000_000, tv_nsec: 0 },
};

/// A directory with a `tree`, which is swept, and beside it an `outside` with names and ages of what is in the tree.
pub(crate) struct Attack {
    base: PathBuf,
    sentinels: Vec<PathBuf>,
}

/// What came of it.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Came {
    pub(crate) swaps: u64,
    pub(crate) sweeps: u64,
    /// Files outside that are gone.
    pub(crate) lost: u64,
}

impl Attack {
    /// Makes all of it in an empty directory.
    pub(crate) fn new(base: &Path) -> std::io::Result<Self> {
        let mut sentinels = Vec::new();
        for directory in ["outside", "outside/inner"] {
            std::fs::create_dir_all(base.join(directory))?;
            for file in 0..FILES {
                let path = base.join(format!("{directory}/f{file}"));
                std::fs::write(&path, "sentinel")?;
                utimensat(CWD, &path, &OLD, AtFlags::SYMLINK_NOFOLLOW)?;
                sentinels.push(path);
            }
        }
        std::fs::create_dir_all(base.join("tree"))?;
        for number in 0..DIRECTORIES {
            symlink(base.join("outside"), base.join(format!("link{number}")))?;
            symlink("../../outside/inner", base.join(format!("inner{number}")))?;
        }
        let attack = Self { base: base.into(), sentinels };
        attack.refill();
        Ok(attack)
    }

    pub(crate) fn tree(&self) -> PathBuf {
        self.base.join("tree")
    }

    /// Sweeps again and again under attack until there were so many swaps and two sweeps, or something outside is gone.
    pub(crate) fn run(&self, most: u64, mut sweep: impl FnMut()) -> Came {
        let (stop, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
        let mut sweeps = 0;
        std::thread::scope(|scope| {
            scope.spawn(|| self.swap(&stop, &swaps));
            while (swaps.load(Ordering::Relaxed) < most || sweeps < 2) && self.lost() == 0 {
                sweep();
                sweeps += 1;
                self.refill();
            }
            stop.store(true, Ordering::Relaxed);
        });
        Came { swaps: swaps.into_inner(), sweeps, lost: self.lost() }
    }

    /// How many files outside are gone.
    fn lost(&self) -> u64 {
        self.sentinels.iter().filter(|path| !path.exists()).count() as u64
    }

    /// There and back, so that what is to be swept is a directory again. Nothing is swapped through a link: what is outside stays where it is,
    /// whatever was removed meanwhile.
    fn swap(&self, stop: &AtomicBool, swaps: &AtomicU64) {
        let exchange = |from: BorrowedFd<'_>, a: &Path, b: &Path| {
            if renameat_with(from, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
                swaps.fetch_add(1, Ordering::Relaxed);
            }
        };
        while !stop.load(Ordering::Relaxed) {
            for number in 0..DIRECTORIES {
                let at = |name: &str| self.base.join(format!("{name}{number}"));
                let directory = at("tree/d");
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
                if let Ok(directory) = openat(CWD, &directory, flags, Mode::empty()) {
                    exchange(directory.as_fd(), Path::new("inner"), &at("inner"));
                    exchange(directory.as_fd(), Path::new("inner"), &at("inner"));
                }
                exchange(CWD, &directory, &at("link"));
                exchange(CWD, &directory, &at("link"));
            }
        }
    }

    /// Puts old files into the directories of the tree, never through a link.
    fn refill(&self) {
        let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW;
        let create = OFlags::WRONLY | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::EXCL;
        for number in 0..DIRECTORIES {
            let path = self.base.join(format!("tree/d{number}"));
            let _ = std::fs::create_dir(&path);
            let Ok(outer) = openat(CWD, &path, directory, Mode::empty()) else { continue };
            let _ = mkdirat(&outer, "inner", Mode::RWXU);
            let inner = openat(&outer, "inner", directory, Mode::empty());
            for fd in [Ok(outer), inner].into_iter().flatten() {
                for file in 0..FILES {
                    let name = format!("f{file}");
                    if openat(&fd, &name, create, Mode::RUSR).is_ok() {
                        let _ = utimensat(&fd, &name, &OLD, AtFlags::SYMLINK_NOFOLLOW);
                    }
                }
            }
        }
    }
}

/// Sweeps what is older than a week, and says how many files went.
pub(crate) fn sweep(tree: &Path, state: &Path) -> Result<u64, Error> {
    const WEEK: Duration = Duration::from_secs(7 * 24 * 3600);
    let job = Job {
        path: tree.into(),
        layout: Layout::Files,
        rules: Rules { older_than: Some(WEEK), ..Rules::default() },
        by: By::LastUse,
        how: How { owners: Owners::Any, batch: 1000, per_second: None, empty: Empty::Never },
        allowed: Allowed::default(),
        locks: Vec::new(),
        wait: Duration::ZERO,
        threads: 2,
        state: state.into(),
        trail: None,
    };
    let mut removed = 0;
    job.sweep(job.open()?, |_, event| removed += u64::from(matches!(event, Event::Removed { .. })))?;
    Ok(removed)
}

/// What scripts do: list a directory by its path, and remove what is old by its path. `listed` comes between the two.
pub(crate) fn by_paths(directory: &Path, listed: &dyn Fn(&Path)) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    let paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    listed(directory);
    for path in paths {
        match path.symlink_metadata() {
            Ok(stat) if stat.is_dir() => {
                by_paths(&path, listed);
                let _ = std::fs::remove_dir(&path);
            }
            Ok(stat) if stat.is_file() => {
                let _ = std::fs::remove_file(&path);
            }
            _ => {}
        }
    }
}
