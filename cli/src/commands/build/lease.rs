//! Leases of what a build needs and has made.

use crate::build::Made;
use crate::commands::block_on;
use crate::engine::{self, Endpoint, Engine};
use crate::error::Failure;
use crate::store::{Lease, Leases, Quiet, Store, Term, job};

/// Leases what was made until the CI job ends, where the engine has it. A build that went well does not fail for want of
/// a lease.
pub(super) fn result(made: &Made, store: &Store) {
    if made.digests.is_empty() {
        return;
    }
    if let Err(failure) = lease(made, store) {
        failure.warn("what was built is not leased, and may be deleted before the job ends");
    }
}

fn lease(made: &Made, store: &Store) -> Result<(), Failure> {
    let leases = store.leases()?;
    // From the look at the engine until the lease is there nobody deletes an image.
    let _quiet = block_on(Quiet::for_addition(&leases, Quiet::PATIENCE))??;
    let Some(id) = id(made)? else { return Ok(()) };
    let names = if made.names.is_empty() { std::slice::from_ref(&id) } else { &made.names };
    image(store, &leases, names, &id)
}

/// Leases an image of this id until the CI job ends, once for each name. It is used now.
pub(super) fn image(store: &Store, leases: &Leases, names: &[String], id: &str) -> Result<(), Failure> {
    store.last_uses()?.touch(id)?;
    let Some(job) = job::process() else { return Ok(()) };
    let term = Term::Owner(job);
    let known = leases.list()?;
    for name in names {
        // A job of many builds needs it once.
        let is_leased = |lease: &Lease| lease.image == *name && lease.id == id && lease.term == term;
        if !known.iter().any(is_leased) {
            leases.add(&Lease::new(store.identity(), name.clone(), id.to_owned(), term.clone()))?;
        }
    }
    Ok(())
}

/// The image's id in the engine; none where the result went elsewhere.
fn id(made: &Made) -> Result<Option<String>, Failure> {
    let endpoint = Endpoint::of_this_process()?;
    let id = block_on(async {
        let engine = Engine::connect(&endpoint).await?;
        for digest in &made.digests {
            if let Some(id) = engine.image_id(digest).await? {
                return Ok(Some(id));
            }
        }
        Ok::<_, engine::Error>(None)
    })??;
    Ok(id)
}
