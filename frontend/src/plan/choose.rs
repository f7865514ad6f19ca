//! Which strategy for which hazard.

use std::collections::{BTreeMap, BTreeSet};

use super::{Medium, Mended, Policy, Scope, Settings, Strategy, cost, namespace, prime};
use crate::graph::{BuildGraph, CacheKey};
use crate::hazard::{self, Finding, Severity};

/// What a hazard needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Need {
    Nothing,
    /// Mountpoints made beforehand, unless the cache's users take turns anyway.
    Mountpoints,
    /// That the cache's users take turns, in whatever way.
    Turns,
    Order,
    Lock,
    Names,
}

/// Chooses for all hazards of a build at once: all that needs turns on one cache gets them in one way. `graph` is the build
/// as it was, under whose names the user knows the caches.
pub(super) fn choose(graph: &BuildGraph, findings: Vec<Finding>, settings: &Settings) -> Vec<Mended> {
    let needs: Vec<_> = findings.iter().map(|finding| need(graph, finding, settings)).collect();
    let mut by_cache = BTreeMap::<&CacheKey, Need>::new();
    for (finding, need) in findings.iter().zip(&needs) {
        for key in finding.caches.iter().filter(|_| *need <= Need::Lock) {
            let known = by_cache.entry(key).or_insert(Need::Nothing);
            *known = (*need).max(*known);
        }
    }
    let of = |finding: &Finding| finding.caches.iter().filter_map(|key| by_cache.get(key)).max().copied();
    let open: BTreeSet<_> =
        by_cache.iter().filter(|(_, need)| **need == Need::Turns).map(|(key, _)| (*key).clone()).collect();
    let turns = if open.is_empty() { Strategy::Lock } else { turns(graph, &open, settings) };
    let strategies: Vec<_> = findings
        .iter()
        .zip(&needs)
        .map(|(finding, need)| match need {
            Need::Nothing => Strategy::None,
            Need::Names => Strategy::Namespace,
            _ => match of(finding) {
                Some(Need::Mountpoints) => Strategy::Prime,
                Some(Need::Turns) => turns,
                Some(Need::Order) => Strategy::Order,
                _ => Strategy::Lock,
            },
        })
        .collect();
    findings.into_iter().zip(strategies).map(|(finding, strategy)| Mended { finding, strategy }).collect()
}

/// The strategies for what a first choice left.
pub(super) fn choose_again(graph: &BuildGraph, findings: Vec<Finding>, settings: &Settings) -> Vec<Mended> {
    let mend = |finding: Finding| {
        let strategy = match need(graph, &finding, settings) {
            Need::Nothing => Strategy::None,
            Need::Names if namespace::is_the_only_way(&finding) => Strategy::Namespace,
            _ => Strategy::Lock,
        };
        Mended { finding, strategy }
    };
    findings.into_iter().map(mend).collect()
}

fn turns(graph: &BuildGraph, caches: &BTreeSet<CacheKey>, settings: &Settings) -> Strategy {
    match (settings.medium, settings.scope) {
        // An order written into a file is one of whole stages, and no longer the user's to see through.
        (Medium::Text, _) | (_, Scope::Host) => Strategy::Lock,
        (Medium::Definition, Scope::Build) => cost::turns(graph, caches, &settings.durations),
    }
}

/// What one hazard needs, if there were no other one.
fn need(graph: &BuildGraph, finding: &Finding, settings: &Settings) -> Need {
    let policy = policy(graph, finding, settings);
    let is_careful = !matches!(policy, Policy::Auto | Policy::Prime);
    let is_vouched_for = policy == Policy::Prime && finding.severity == Severity::Warning;
    match (policy, finding.rule.name) {
        (Policy::Off, _) => Need::Nothing,
        _ if finding.severity == Severity::Note && !is_careful => Need::Nothing,
        _ if namespace::is_the_only_way(finding) => Need::Names,
        (Policy::Namespace, _) => Need::Names,
        (_, "SharedCacheRace") if is_vouched_for => Need::Nothing,
        (Policy::Auto | Policy::Prime, "NestedMountpointRace") => {
            match settings.medium {
                Medium::Text => Need::Turns,
                Medium::Definition if prime::is_possible(graph, finding) => Need::Mountpoints,
                // Other builds share what the tool bears: beside a lock of this one they would find it empty.
                Medium::Definition if is_borne(graph, finding) => Need::Order,
                Medium::Definition => Need::Turns,
            }
        }
        // A build beside this one still meets the other mode.
        (_, "MixedCacheSharing") | (Policy::Lock, _) => Need::Lock,
        (Policy::Order, _) if settings.scope == Scope::Host => Need::Lock,
        (Policy::Order, _) => Need::Order,
        (Policy::Auto | Policy::Prime, "CacheLockInversion") => Need::Lock,
        (Policy::Auto | Policy::Prime, _) => Need::Turns,
    }
}

/// Whether the tool of the finding's cache is known to bear several users of it at once.
fn is_borne(graph: &BuildGraph, finding: &Finding) -> bool {
    let mounts: Vec<_> = finding.mounts().collect();
    finding.caches.iter().all(|key| hazard::severity_of_sharing(graph, key, &mounts) == Severity::Note)
}

/// What the user wants of a hazard: of the caches that it is about, whatever is not to be left alone.
fn policy(graph: &BuildGraph, finding: &Finding, settings: &Settings) -> Policy {
    let caches = finding.mounts().filter_map(|at| graph.mount(at).cache.as_ref());
    let mut policies = caches.map(|cache| settings.policy_of(&cache.key));
    policies.find(|policy| *policy != Policy::Off).unwrap_or(Policy::Off)
}
