//! The frontend and the command on real engines: every test on every engine. The engines start when a test first
//! needs them and are stopped at the end. The tests of one engine run one after the other, because they empty its cache.

mod build;
mod cancel;
mod containerd;
mod definitions;
mod equal;
mod hazards;
mod image;
mod messages;
mod no_cache;
mod options;
mod order;
mod primer;
mod proxy;
mod prune;
mod pull;
mod remote;
mod rewrite;
mod run;
mod store;

use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use ci_build_tests::Subject;
use libtest_mimic::{Arguments, Trial};
use xtask::engines::Kind;

type Test = fn(&Subject) -> Result<()>;
type OtherTest = fn() -> Result<()>;

/// Tests of engines that are no docker, and of none at all.
const OTHERS: &[(&str, OtherTest)] = &[
    ("containerd-1.6::a_namespace_is_a_store", store::containerd_1_6),
    ("containerd-2.1::a_namespace_is_a_store", store::containerd_2_1),
    ("none::a_socket_without_permission_is_told", store::without_permission),
];

type ContainerdTest = fn(containerd::Kind) -> Result<()>;

/// Tests of every containerd without docker.
const CONTAINERD_TESTS: &[(&str, ContainerdTest)] = &[
    ("run_is_as_asked", containerd::as_asked),
    ("run_unpacks_what_is_not", containerd::unpacks),
    ("run_of_an_archive_leaves_none_of_it", containerd::archive),
    ("run_ends_by_signals_and_in_time", containerd::signals),
    ("run_ends_with_its_job", containerd::ends_with_its_job),
    ("run_killed_leaves_nothing", containerd::killed),
    ("run_of_a_killed_ctr_is_left", containerd::killed_ctr),
    ("run_outlives_its_shim", containerd::killed_shim),
    ("run_goes_on_without_containerd", containerd::killed_containerd),
    ("run_leaves_nothing_over_a_reboot", containerd::reboot),
    ("run_is_known_by_labels", containerd::unrecorded),
    ("run_beside_recoveries_is_no_victim", containerd::side_by_side),
    ("run_whose_removal_fails_is_kept", containerd::failing),
];

/// Tests of every docker.
const TESTS: &[(&str, Test)] = &[
    ("a_lock_inversion_ends", hazards::lock_inversion),
    ("apt_installs_side_by_side", hazards::apt),
    ("a_mixed_cache_is_never_empty", hazards::mixed_sharing),
    ("racing_stages_take_turns", hazards::race),
    ("what_has_no_hazard_is_upstreams_build", equal::without_hazards),
    ("with_policy_off_all_is_upstreams_build", equal::with_policy_off),
    ("a_hazard_is_told_once", messages::hazard),
    ("a_wait_is_told_before_it", messages::waits),
    ("upstreams_errors_are_upstreams", messages::upstreams_errors),
    ("errors_of_long_files_are_upstreams", messages::long_files_errors),
    ("the_image_is_installed_once", image::installed_once),
    ("the_syntax_line_finds_the_image", image::syntax_line),
    ("what_does_not_exist_is_named", messages::unknown_policy),
    ("what_options_there_are_not_is_named", options::unknown_ones),
    ("another_frontend_may_stand_behind_ours", options::upstream_image),
    ("comments_are_followed", options::comments),
    ("a_check_has_our_findings_beside_upstreams", options::lint),
    ("no_cache_may_keep_the_caches", no_cache::own_cache),
    ("no_cache_may_keep_a_neighbours_cache", no_cache::neighbours_cache),
    ("nothing_is_left_running", messages::nothing_left),
    ("with_policy_off_upstreams_bytes_are_solved", definitions::with_policy_off),
    ("a_cancelled_build_ends_as_upstreams", cancel::cancelled),
    ("an_engine_elsewhere_takes_the_image_from_a_registry", remote::over_tcp),
    ("rewritten_races_are_none", rewrite::races),
    ("rewritten_mixed_caches_are_never_empty", rewrite::mixed_sharing),
    ("rewritten_lock_inversions_end", rewrite::lock_inversion),
    ("rewritten_orders_hold_and_stay_cached", rewrite::order),
    ("an_order_holds_and_stays_cached", order::order),
    ("an_order_drags_no_stage_into_a_target", order::order_of_one_target),
    ("an_order_leaves_nothing_in_the_image", order::order_leaves_nothing),
    ("a_primer_runs_each_time_and_alone", primer::primer),
    ("a_primer_finds_its_caches_gone", primer::primer_after_prune),
    ("a_primer_leaves_nothing_in_the_image", primer::primer_leaves_nothing),
    ("pull_takes_the_mirror_first", pull::from_the_mirror),
    ("pull_knows_a_digest", pull::by_digest),
    ("pull_takes_its_platform_of_an_index", pull::of_an_index),
    ("pull_gets_past_every_fault", pull::faults),
    ("pull_is_done_once_for_sixteen_jobs", pull::sixteen_jobs),
    ("pull_finds_the_newest", pull::latest),
    ("pull_of_docker_itself_may_keep_wrong_content", pull::dockers_own),
    ("a_prune_takes_the_least_recently_used_first", prune::least_recently_used_first),
    ("a_prune_spares_what_is_needed", prune::spares_what_is_needed),
    ("a_prune_spares_parents_of_what_stays", prune::parents_stay_with_their_children),
    ("a_prune_skips_beside_another", prune::prunes_do_not_queue),
    ("a_prune_takes_build_cache_by_its_id", prune::build_cache_by_its_id),
    ("a_prune_goes_on_after_a_refusal", prune::goes_on_after_a_refusal),
    ("a_prune_tells_that_the_engine_died", prune::engine_that_dies),
    ("a_watch_outlives_the_engine", prune::watch_outlives_the_engine),
    ("two_ways_to_an_engine_are_one_lock", store::one_lock),
    ("two_engines_are_two_locks", store::two_locks),
    ("leases_are_of_what_is_there", store::leases),
    ("status_and_doctor_see_the_engine", store::status_and_doctor),
    ("build_makes_upstreams_image", build::upstreams_image),
    ("build_mends_a_race", build::race),
    ("build_reads_standard_input", build::standard_input),
    ("build_leaves_out_what_upstream_does", build::ignored_files),
    ("build_holds_the_lock", build::holds_the_lock),
    ("build_ends_by_signals", build::signals),
    ("build_ends_when_it_is_killed", build::killed),
    ("build_ends_with_its_job", build::orphaned),
    ("build_ends_in_time", build::timeout),
    ("build_leases_what_it_made", build::lease),
    ("build_exit_codes_are_buildxs", build::exit_codes),
    ("build_names_who_waits_for_whom", build::waits),
    ("build_remembers_durations", build::durations),
    ("run_is_as_dockers", run::as_docker),
    ("run_ends_by_signals_and_in_time", run::signals),
    ("run_ends_with_its_job", run::ends_with_its_job),
    ("run_that_is_detached_goes_with_its_job", run::detached),
    ("run_killed_leaves_nothing", run::killed),
    ("run_of_a_killed_docker_is_left", run::killed_docker),
    ("run_leaves_nothing_over_a_reboot", run::reboot),
    ("run_owns_no_copy_of_its_container", run::commit),
    ("run_beside_recoveries_is_no_victim", run::side_by_side),
    ("run_whose_removal_fails_is_kept", run::failing),
];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2);
    let subjects: Vec<_> = Kind::ALL.iter().map(|kind| (*kind, Arc::new(Mutex::new(None)))).collect();
    let mut trials = Vec::new();
    // Neighbours are of different engines, so that two threads seldom wait for one.
    for (name, test) in TESTS {
        for (kind, subject) in &subjects {
            let (kind, subject) = (*kind, Arc::clone(subject));
            let run = move || Ok(on(kind, &subject, test).map_err(|e| format!("{e:#}"))?);
            trials.push(Trial::test(format!("{}::{name}", kind.name()), run));
        }
    }
    for (name, test) in CONTAINERD_TESTS {
        for kind in containerd::Kind::ALL {
            let run = move || Ok(test(kind).map_err(|error| format!("{error:#}"))?);
            trials.push(Trial::test(format!("{}::{name}", kind.name()), run));
        }
    }
    for (name, test) in OTHERS {
        let run = move || Ok(test().map_err(|error| format!("{error:#}"))?);
        trials.push(Trial::test(*name, run));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let mut failed = conclusion.has_failed();
    for (_, subject) in subjects {
        let subject = subject.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Ok(Subject { engine, .. })) = subject
            && let Err(error) = engine.stop()
        {
            eprintln!("error: {error:#}");
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// The engine, started by whoever comes first; one that does not start fails all its tests.
fn on(
    kind: Kind,
    subject: &Mutex<Option<Result<Subject, String>>>,
    test: impl FnOnce(&Subject) -> Result<()>,
) -> Result<()> {
    let mut subject = subject.lock().unwrap_or_else(PoisonError::into_inner);
    match subject.get_or_insert_with(|| Subject::start(kind).map_err(|error| format!("{error:#}"))) {
        Ok(subject) => test(subject),
        Err(error) => anyhow::bail!("the engine does not start: {error}"),
    }
}
