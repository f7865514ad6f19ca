//! How a hazard is mended, for whoever mends it by hand.

use crate::hazard::Severity;
use crate::plan::{Mended, Strategy};

/// One line.
pub(super) fn advice(mended: &Mended) -> &'static str {
    match (mended.strategy, mended.finding.rule.name) {
        (Strategy::None, _) if mended.finding.severity == Severity::Note => {
            "nothing has to change: the tool is known to bear it"
        }
        (Strategy::None, _) => "nothing changes: it was asked for",
        (Strategy::Lock, "CacheLockInversion") => {
            "let every step take these locks in one order: the engine takes them in the order of the targets"
        }
        (Strategy::Lock, "MixedCacheSharing") => "mount it with sharing=locked everywhere",
        (Strategy::Lock, _) => "add sharing=locked to every mount of it, so that the steps take turns",
        (Strategy::Prime, _) => "let a step before them mount it with the same mounts inside",
        (Strategy::Order, _) => "let each of the steps need the one before it, so that they run one by one",
        (Strategy::Namespace, "PlatformCacheCollision") => {
            "let the id vary with the platform: ARG TARGETPLATFORM and id=…-$TARGETPLATFORM"
        }
        (Strategy::Namespace, "CacheIdentityMismatch") => "give each of them an id of its own",
        (Strategy::Namespace, _) => "give each stage a cache of its own by an id that names the stage",
    }
}
