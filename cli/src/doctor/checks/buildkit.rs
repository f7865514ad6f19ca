//! A BuildKit that lets steps out of their container.

use crate::doctor::{Check, Facts, Finding, version};
use crate::engine::Info;

/// The first BuildKit with the mend (moby/buildkit's advisory GHSA-m3r6-h7wv-7xxv).
const MENDED: (u64, u64, u64) = (0, 12, 5);
/// The first engines with such a BuildKit inside, of the two lines that got one (moby's release notes).
const MENDED_24: (u64, u64, u64) = (24, 0, 9);
const MENDED_25: (u64, u64, u64) = (25, 0, 2);

pub(in crate::doctor) const CHECK: Check = Check {
    name: "buildkit",
    about: "No BuildKit is older than 0.12.5, in which two steps that share a cache mount can reach the host's files \
        (CVE-2024-23651): inside engines before 24.0.9, and 25.0.0 and 25.0.1; and in builders of the docker-container driver, by the tag \
        of their image. A distributor may have mended an older version.",
    look,
};

fn look(facts: &Facts) -> Finding {
    let Ok(info) = &facts.engine else { return Finding::no_engine() };
    let mut weak: Vec<String> = info
        .builders
        .iter()
        .filter(|builder| is_weak_builder(&builder.image))
        .map(|builder| {
            format!("builder {} runs {}", builder.name.trim_start_matches("buildx_buildkit_"), builder.image)
        })
        .collect();
    if is_weak_engine(info) {
        weak.insert(0, format!("Docker {} has a BuildKit before 0.12.5", info.version));
    }
    if weak.is_empty() {
        return Finding::fine(match info.builders.len() {
            0 => format!("as in Docker {}", info.version),
            builders => format!("as in Docker {}, and {builders} of buildx", info.version),
        });
    }
    Finding::wrong(
        format!("{}: a step can reach the host's files (CVE-2024-23651)", weak.join("; ")),
        &[
            "update the engine to 24.0.9, 25.0.2 or later, unless its distributor has mended it",
            "a builder of buildx: `docker buildx rm` and create it anew",
            "until then build only Dockerfiles and frontends that you trust",
        ],
    )
}

fn is_weak_engine(info: &Info) -> bool {
    version::parse(&info.version)
        .is_some_and(|version| version < MENDED_24 || ((25, 0, 0)..MENDED_25).contains(&version))
}

/// `moby/buildkit:v0.12.4`; what is pinned by a digest, or has another tag, does not tell.
fn is_weak_builder(image: &str) -> bool {
    let tag = image.rsplit_once(':').map(|(_, tag)| tag);
    tag.and_then(version::parse).is_some_and(|version| version < MENDED)
}
