//! The lines in a build's output for each hazard that was mended.

use crate::graph::{BuildGraph, StepIndex};
use crate::hazard::Finding;
use crate::plan::{Guarded, Mended, Plan, Strategy};

/// What people are told of a hazard that something was done about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The step that the hazard is placed at.
    pub step: StepIndex,
    /// What it was, where, and what was done.
    pub text: String,
    /// Who may wait for what, where somebody may. Engines show nothing of such a wait, so this is for before the build.
    pub waits: Option<String>,
}

/// What stands before the caches in a line about who waits for a lock.
const TO_RELEASE: &str = " to release ";

/// The caches that a line about who waits for a lock is about, as people know them: what [`Notice::waits`] says, or the name
/// of the step that shows it. None in any other line.
pub fn released(line: &str) -> impl Iterator<Item = &str> {
    let is_ours = line.contains(": each may wait for another");
    let caches = line.rsplit_once(TO_RELEASE).filter(|_| is_ours).map(|(_, caches)| caches);
    caches.into_iter().flat_map(|caches| caches.split(", "))
}

/// One notice a hazard, in file order, and then one for each cache that is locked against other builds alone. None for
/// what was left alone.
#[must_use]
pub fn notices(graph: &BuildGraph, plan: &Plan) -> Vec<Notice> {
    let is_ordered = plan.mended.iter().any(|mended| mended.strategy == Strategy::Order);
    let ordered = is_ordered.then(|| plan.apply(graph));
    let ordered = ordered.as_ref().unwrap_or(graph);
    let notice = |mended: &Mended| {
        let finding = &mended.finding;
        let done = done(graph, ordered, mended)?;
        let text = format!("{}: {}; {done}", finding.rule.name, told(graph, finding));
        Some(Notice { step: finding.at.step, text, waits: waits(graph, ordered, mended) })
    };
    let guarded = plan.guarded.iter().filter_map(|guarded| guard(graph, guarded));
    plan.mended.iter().filter_map(notice).chain(guarded).collect()
}

fn guard(graph: &BuildGraph, guarded: &Guarded) -> Option<Notice> {
    let mut steps: Vec<_> = guarded.mounts.iter().map(|at| at.step).collect();
    steps.dedup();
    let (cache, places) = (&guarded.cache, places(graph, &steps, ", "));
    let text = format!(
        "scope=host: other builds may use the cache {cache} at the same time: {places}; ci-build has it locked, and each step may wait for theirs"
    );
    let waits = Some(format!("{places}: each may wait for another build{TO_RELEASE}{cache}"));
    Some(Notice { step: *steps.last()?, text, waits })
}

fn waits(graph: &BuildGraph, ordered: &BuildGraph, mended: &Mended) -> Option<String> {
    let finding = &mended.finding;
    match mended.strategy {
        Strategy::Lock => {
            let places = places(graph, &steps(finding), ", ");
            Some(format!("{places}: each may wait for another{TO_RELEASE}{}", caches(finding)))
        }
        Strategy::Order => Some(format!("one after the other: {}", in_order(graph, ordered, finding))),
        // The primer is a step that everybody sees, and to tell more of it would take longer than it does.
        Strategy::Prime | Strategy::Namespace | Strategy::None => None,
    }
}

/// What was done. `ordered` is the build as it is after the changes. None for what was left alone.
fn done(graph: &BuildGraph, ordered: &BuildGraph, mended: &Mended) -> Option<String> {
    let finding = &mended.finding;
    Some(match (mended.strategy, finding.rule.name) {
        (Strategy::None, _) => return None,
        (Strategy::Lock, "CacheLockInversion") => {
            format!(
                "ci-build has them lock {} in this order, and each may wait for the others",
                caches(finding)
            )
        }
        (Strategy::Lock, _) => {
            format!("ci-build has them lock {}, and each may wait for the others", caches(finding))
        }
        (Strategy::Order, _) => {
            let in_order = in_order(graph, ordered, finding);
            format!("ci-build has them run one after the other: {in_order}")
        }
        (Strategy::Prime, _) => "ci-build makes the mountpoints in a step before them".to_owned(),
        (Strategy::Namespace, "PlatformCacheCollision") => {
            "ci-build gives each platform a cache of its own".to_owned()
        }
        (Strategy::Namespace, "CacheIdentityMismatch") => {
            "ci-build gives each of them an id of its own".to_owned()
        }
        (Strategy::Namespace, _) => "ci-build gives each stage a cache of its own".to_owned(),
    })
}

/// The steps as they come after each other in `ordered`.
fn in_order(graph: &BuildGraph, ordered: &BuildGraph, finding: &Finding) -> String {
    let mut steps = steps(finding);
    steps.sort_by_key(|step| ordered.rank(*step));
    places(graph, &steps, ", then ")
}

/// What it is, and where.
#[must_use]
pub fn told(graph: &BuildGraph, finding: &Finding) -> String {
    format!("{}: {}", finding.message, places(graph, &steps(finding), ", "))
}

/// The steps of a finding, each once, in file order.
fn steps(finding: &Finding) -> Vec<StepIndex> {
    let mut steps: Vec<_> = finding.mounts().map(|at| at.step).collect();
    steps.dedup();
    steps
}

fn places(graph: &BuildGraph, steps: &[StepIndex], between: &str) -> String {
    let mut places: Vec<_> = steps.iter().map(|step| graph.step(*step).to_string()).collect();
    // The copies of a step for several platforms stand in one place.
    places.dedup();
    places.join(between)
}

/// In the order of their locks. Those that differ in what they start from alone have one name.
fn caches(finding: &Finding) -> String {
    let mut caches: Vec<_> = finding.caches.iter().collect();
    caches.sort_unstable();
    let mut caches: Vec<_> = caches.into_iter().map(ToString::to_string).collect();
    caches.dedup();
    caches.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dockerfile::{self, Options};
    use crate::plan::{Policy, Scope, Settings};

    fn told(source: &str, settings: impl Into<Settings>) -> String {
        let dockerfile = dockerfile::parse(source.as_bytes()).unwrap();
        let graph = dockerfile::read("Dockerfile", &dockerfile, &Options::default()).unwrap();
        let notices = notices(&graph, &Plan::of(&graph, &settings.into()));
        let lines = notices.into_iter().flat_map(|notice| [Some(notice.text), notice.waits]);
        lines.flatten().collect::<Vec<_>>().join("\n")
    }

    const RACE: &str = "\
FROM x AS a
RUN --mount=type=cache,target=/c a
FROM x AS b
RUN --mount=type=cache,target=/c b
FROM x
RUN --mount=type=cache,target=/c c
COPY --from=a / /
COPY --from=b / /
";

    #[test]
    fn who_waits_for_whom_is_told_once() {
        insta::assert_snapshot!(told(RACE, Policy::Lock), @r"
        SharedCacheRace: 3 concurrent steps use the cache /c at once with sharing=shared: Dockerfile:2 (stage a), Dockerfile:4 (stage b), Dockerfile:6 (stage stage-2); ci-build has them lock /c, and each may wait for the others
        Dockerfile:2 (stage a), Dockerfile:4 (stage b), Dockerfile:6 (stage stage-2): each may wait for another to release /c
        ");
        insta::assert_snapshot!(told(RACE, Policy::Order), @r"
        SharedCacheRace: 3 concurrent steps use the cache /c at once with sharing=shared: Dockerfile:2 (stage a), Dockerfile:4 (stage b), Dockerfile:6 (stage stage-2); ci-build has them run one after the other: Dockerfile:2 (stage a), then Dockerfile:6 (stage stage-2), then Dockerfile:4 (stage b)
        one after the other: Dockerfile:2 (stage a), then Dockerfile:6 (stage stage-2), then Dockerfile:4 (stage b)
        ");
        insta::assert_snapshot!(told(RACE, Policy::Namespace), @"SharedCacheRace: 3 concurrent steps use the cache /c at once with sharing=shared: Dockerfile:2 (stage a), Dockerfile:4 (stage b), Dockerfile:6 (stage stage-2); ci-build gives each stage a cache of its own");
    }

    #[test]
    fn the_order_that_is_told_is_that_of_the_plan() {
        let dockerfile = dockerfile::parse(RACE.as_bytes()).unwrap();
        let graph = dockerfile::read("Dockerfile", &dockerfile, &Options::default()).unwrap();
        let plan = Plan::of(&graph, &Settings::from(Policy::Order));
        let text = told(RACE, Policy::Order);
        let place = |step| text.rfind(&graph.step(step).to_string());
        let edges =
            plan.edits.iter().flat_map(|(step, edit)| edit.after.values().flatten().map(|a| (*a, *step)));
        let edges: Vec<_> = edges.collect();
        assert_eq!(edges.len(), 2);
        assert!(edges.into_iter().all(|(before, after)| place(before) < place(after)), "{text}");
    }

    #[test]
    fn a_step_beforehand_is_told() {
        let nested = RACE.replace(
            "--mount=type=cache,target=/c ",
            "--mount=type=cache,target=/c --mount=type=tmpfs,target=/c/t ",
        );
        insta::assert_snapshot!(told(&nested, Policy::Prime), @r"
        NestedMountpointRace: concurrent steps mount something at t inside the shared cache /c, and some runtimes fail when two make it: Dockerfile:2 (stage a), Dockerfile:4 (stage b), Dockerfile:6 (stage stage-2); ci-build makes the mountpoints in a step before them
        ");
    }

    #[test]
    fn a_wait_for_other_builds_is_told() {
        let one = "FROM x\nRUN --mount=type=cache,target=/c a\n";
        let settings = Settings { scope: Scope::Host, ..Settings::default() };
        assert_eq!(told(one, Policy::Auto), "");
        insta::assert_snapshot!(told(one, settings), @r"
        scope=host: other builds may use the cache /c at the same time: Dockerfile:2 (stage stage-0); ci-build has it locked, and each step may wait for theirs
        Dockerfile:2 (stage stage-0): each may wait for another build to release /c
        ");
    }

    #[test]
    fn a_line_about_a_lock_tells_which() {
        let of = |line: &str| released(line).map(str::to_owned).collect::<Vec<_>>();
        let lines = told(RACE, Policy::Lock);
        let waits: Vec<_> = lines.lines().map(of).filter(|caches| !caches.is_empty()).collect();
        assert_eq!(waits, [["/c"]]);
        let guarded = told(
            "FROM x\nRUN --mount=type=cache,target=/c a\n",
            Settings { scope: Scope::Host, ..Settings::default() },
        );
        assert_eq!(guarded.lines().map(of).collect::<Vec<_>>(), [vec![], vec!["/c".to_owned()]]);
        assert_eq!(of("[ci-build] a: each may wait for another to release /c, x"), ["/c", "x"]);
        assert_eq!(of("RUN echo to release /c"), [""; 0]);
    }

    #[test]
    fn what_is_left_alone_is_not_told() {
        assert_eq!(told(RACE, Policy::Off), "");
        assert_eq!(told(&RACE.replace("/c ", "/root/go/pkg/mod go "), Policy::Auto), "");
    }
}
