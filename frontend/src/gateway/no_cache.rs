//! `CI_BUILD_NO_CACHE`.

use super::build::Solvable;
use super::error::GatewayError;
use super::nonce::nonce;
use super::options::Options;
use crate::llb::{self, Definition};
use crate::options::NoCache;

/// The definitions as they are to be built. An op that stands in several of them gets one nonce, so it still runs once.
pub(super) fn apply(solvables: Vec<Solvable>, options: &Options) -> Result<Vec<Solvable>, GatewayError> {
    // Without `--no-cache`, and `--no-cache-filter`, there is nothing to keep.
    if options.choices().no_cache == NoCache::Upstream || options.get("no-cache").is_none() {
        return Ok(solvables);
    }
    let nonce = nonce();
    let keep = |solvable: Solvable| {
        let definition = Definition::parse(solvable.definition)?;
        let kept = llb::keep_caches(&definition, &nonce)?.into_owned();
        Ok(Solvable { definition: kept, ..solvable })
    };
    solvables.into_iter().map(keep).collect()
}
