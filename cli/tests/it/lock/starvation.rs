//! Readers whose visits overlap without end, and a writer who wants in.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;

use ci_build::store::{Identity, Patience, Store};

/// What a reader would stay at most.
const VISIT: Duration = Duration::from_millis(20);
/// So many readers come while the writer of the control waits.
const READERS: usize = 200;
const PATIENCE: Patience = Patience { wait: Duration::from_secs(60), polite: Duration::ZERO };

pub(super) fn store(directory: &Path) -> Store {
    Store::open_in(&directory.join("state"), Identity::Named("x".into())).unwrap()
}

/// Readers in a row, each of whom stays until the next is in, or for so long. `write` waits for the writer's
/// lock from when the first reader is in. Gives how many readers came in before the writer did.
fn overtaken<R: Send>(read: impl Fn() -> R + Sync, longest: Duration, write: impl FnOnce() + Send) -> usize {
    let came = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let first = read();
        let writer = scope.spawn(|| {
            write();
            came.load(Ordering::SeqCst)
        });
        let mut inside = first;
        for _ in 0..READERS {
            let (tell, is_in) = channel();
            let (read, came) = (&read, &came);
            let next = scope.spawn(move || {
                let guard = read();
                came.fetch_add(1, Ordering::SeqCst);
                let _ = tell.send(());
                guard
            });
            // In time or not, now this one leaves.
            let _ = is_in.recv_timeout(longest);
            drop(inside);
            inside = next.join().unwrap();
        }
        drop(inside);
        writer.join().unwrap()
    })
}

#[test]
fn a_writer_is_not_starved() {
    let directory = tempfile::tempdir().unwrap();
    let store = store(directory.path());
    let read = || store.share("reads", PATIENCE, |_| {}).unwrap();
    let overtaken = overtaken(read, VISIT, || drop(store.exclude("writes", PATIENCE, |_| {}).unwrap()));
    // Those who come in before the writer is at the gate, on a machine that has no time for it.
    assert!(overtaken < READERS / 2, "{overtaken} readers overtook the writer");
}

#[test]
fn with_plain_flock_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lock");
    let open = || File::create(&path).unwrap();
    let read = || {
        let file = open();
        file.lock_shared().unwrap();
        file
    };
    // As long as one of them is inside, the next comes in at once.
    let overtaken = overtaken(read, Duration::from_secs(60), || open().lock().unwrap());
    assert_eq!(overtaken, READERS);
}
