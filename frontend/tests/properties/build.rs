//! Arbitrary builds: steps that depend on earlier ones, with cache mounts of a few caches.

use ci_build_frontend::graph::{
    BuildGraph, CacheKey, CacheUse, GraphBuilder, Location, Mount, MountKind, Sharing, Step,
};
use proptest::prelude::*;

/// How large a build is, and what stands in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    pub(crate) steps: usize,
    pub(crate) edges: usize,
    pub(crate) mounts: usize,
    pub(crate) caches: usize,
    /// Every cache is mounted with `sharing=locked`.
    pub(crate) only_locked: bool,
}

/// A build of many kinds of steps.
pub(crate) const MIXED: Size = Size { steps: 9, edges: 12, mounts: 4, caches: 4, only_locked: false };

/// A build small enough for every order of its locks to be tried.
pub(crate) const LOCKED: Size = Size { steps: 5, edges: 4, mounts: 4, caches: 4, only_locked: true };

const IDS: [&str; 6] = ["/a", "/b", "/a@x", "/root/.npm", "/root/.cache/pip", "/c"];

fn mount(size: Size) -> impl Strategy<Value = Mount> {
    let sharing = prop_oneof![
        2 => Just(Sharing::Shared),
        1 => Just(Sharing::Private),
        2 => Just(Sharing::Locked),
    ];
    let cache =
        (0..size.caches, prop::bool::weighted(0.1), sharing).prop_map(move |(id, identity, sharing)| {
            let identity = (identity && !size.only_locked).then(|| "sha256:base/0".to_owned());
            let sharing = if size.only_locked { Sharing::Locked } else { sharing };
            CacheUse { key: CacheKey { id: IDS[id].to_owned(), identity }, sharing }
        });
    let target =
        prop::sample::select(vec!["/w", "/w/x/y", "/root/.npm", "/var/cache/apt", "/root/.cargo/registry"]);
    let others = MountKind::ALL.into_iter().filter(|kind| *kind != MountKind::Cache).collect::<Vec<_>>();
    (target, any::<bool>(), prop::option::weighted(0.8, cache), prop::sample::select(others)).prop_map(
        |(target, readonly, cache, other)| Mount {
            kind: if cache.is_some() { MountKind::Cache } else { other },
            target: target.to_owned(),
            readonly,
            cache,
            ..Mount::default()
        },
    )
}

fn step(size: Size) -> impl Strategy<Value = Step> {
    let stage = prop::option::of(prop::sample::select(vec!["x", "y", "z", "stage-0"]));
    let platform = prop::sample::select(vec!["linux/amd64", "linux/arm64"]);
    let location = prop::option::of(1_u32..6);
    (stage, platform, location, prop::collection::vec(mount(size), 0..=size.mounts)).prop_map(
        |(stage, platform, line, mounts)| Step {
            id: String::new(),
            stage: stage.map(str::to_owned),
            platform: Some(platform.to_owned()),
            location: line.map(|line| Location { file: "Dockerfile".to_owned(), line }),
            mounts,
            ..Step::default()
        },
    )
}

/// Any build of this size.
pub(crate) fn builds(size: Size) -> impl Strategy<Value = BuildGraph> {
    let steps = prop::collection::vec(step(size), 1..=size.steps);
    let edges = prop::collection::vec((0..size.steps, 0..size.steps), 0..=size.edges);
    (steps, edges, any::<bool>()).prop_map(|(steps, edges, one_platform)| {
        let mut builder = GraphBuilder::default();
        let mut indices = Vec::new();
        for (id, mut step) in steps.into_iter().enumerate() {
            step.id = id.to_string();
            step.platform = step.platform.filter(|_| !one_platform);
            indices.push(builder.add(step));
        }
        for (from, to) in edges {
            if from < to && to < indices.len() {
                builder.depend(indices[from], indices[to]);
            }
        }
        builder.finish().expect("edges go upwards")
    })
}
