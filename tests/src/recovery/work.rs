//! Work that is shared by several at a time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::Result;

/// Does all of it, so many at a time, each on a place of its own. None is begun any more once one failed.
///
/// # Errors
/// The first that failed.
pub(super) fn shared<T: Sync, P>(
    jobs: usize,
    work: &[T],
    place: impl Fn() -> Result<P> + Sync,
    each: impl Fn(&P, &T) -> Result<()> + Sync,
) -> Result<()> {
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(None));
    let lines = || -> Result<()> {
        let mut own = None;
        while let Some(piece) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
            let own = match &own {
                Some(own) => own,
                None => own.insert(place()?),
            };
            each(own, piece)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        for _ in 0..jobs.min(work.len()) {
            scope.spawn(|| {
                if let Err(error) = lines() {
                    next.store(work.len(), Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            });
        }
    });
    failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use anyhow::ensure;

    use super::*;

    #[test]
    fn all_is_done_once_and_the_first_failure_ends_it() {
        let work: Vec<u32> = (0..50).collect();
        let done = Mutex::new(BTreeSet::new());
        let each = |(): &(), piece: &u32| {
            ensure!(done.lock().unwrap().insert(*piece), "{piece} is done twice");
            Ok(())
        };
        shared(4, &work, || Ok(()), each).unwrap();
        assert_eq!(done.into_inner().unwrap().len(), 50);
        let begun = AtomicUsize::new(0);
        let each = |(): &(), piece: &u32| {
            begun.fetch_add(1, Ordering::Relaxed);
            ensure!(*piece != 3, "it failed");
            Ok(())
        };
        assert_eq!(shared(1, &work, || Ok(()), each).unwrap_err().to_string(), "it failed");
        assert_eq!(begun.into_inner(), 4);
    }
}
