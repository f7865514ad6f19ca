//! The frontend and the command on real engines. The engines start when a test first needs them, wait for the next one, and
//! are stopped at the end. A test has its engine for itself, because it empties its cache.
//!
//! A test runs on the engines between which what it is about differs:
//!
//! | slice | engines | what differs between them |
//! |---|---|---|
//! | `EVERY` | 20.10, 26.1, 28.5, 28.5 with images in containerd | whole builds: BuildKit, and the store that images come from and go to; or trials that engines share |
//! | `BUILDKITS` | 20.10, 26.1, 28.5 | BuildKit 0.8, 0.13 and 0.25, for what happens before there is an image and where each of them is known to differ: with images in containerd, BuildKit is the one of 28.5 |
//! | `INTERFACES` | 20.10, 28.5, 28.5 with images in containerd | what the host command asks an engine and gets from it: the interface's versions 1.41 and 1.51, ids of configurations and of manifests. 26.1 answers what 28.5 answers |
//! | `STORES` | 28.5, 28.5 with images in containerd | what hangs on where images are kept, and not on the interface's version |
//! | `ENDS` | 20.10, 28.5 | what is ours, and engines only have a part in: the oldest one and the newest one, between which lies 26.1 |
//! | `NEWEST` | 28.5 | what no engine has a part in, but that there is one: processes, signals, records and choices of ours |
//!
//! The laboratories run on all engines whatever they measure there.

mod build;
mod cancel;
mod child;
mod containerd;
mod definitions;
mod documents;
mod equal;
mod figures;
mod hazards;
mod image;
mod messages;
mod mirror;
mod no_cache;
mod options;
mod order;
mod pool;
mod primer;
mod prune;
mod pull;
mod remote;
mod rewrite;
mod run;
mod store;
mod sweep;
mod terminal;

use std::env;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Result;
use ci_build_tests::Subject;
use ci_build_tests::durations::Durations;
use libtest_mimic::{Arguments, Trial};
use xtask::engines::{Kind, LATER};

use self::pool::Pool;

type Test = fn(&Subject) -> Result<()>;
type OtherTest = fn() -> Result<()>;

const EVERY: &[Kind] = &Kind::ALL;
const BUILDKITS: &[Kind] = &[Kind::Docker20_10, Kind::Docker26_1, Kind::Docker28_5];
const INTERFACES: &[Kind] = &[Kind::Docker20_10, Kind::Docker28_5, Kind::Docker28_5Containerd];
const STORES: &[Kind] = &[Kind::Docker28_5, Kind::Docker28_5Containerd];
const ENDS: &[Kind] = &[Kind::Docker20_10, Kind::Docker28_5];
const NEWEST: &[Kind] = &[Kind::Docker28_5];

/// How many tests run at a time: most of their time they wait for an engine, which waits for a step.
const THREADS: usize = 4;

/// How many engines of a kind there are at most: some slices have one kind more often than another.
const OF_A_KIND: usize = 2;

/// How many tests are named at the end, of those that took longest.
const SLOWEST: usize = 60;

/// Tests of engines that are no docker, and of none at all.
const OTHERS: &[(&str, OtherTest)] = &[
    ("containerd-1.6::a_namespace_is_a_store", store::containerd_1_6),
    ("containerd-2.1::a_namespace_is_a_store", store::containerd_2_1),
    ("none::mirror_deletes_what_is_old", mirror::prune_older),
    ("none::a_socket_without_permission_is_told", store::without_permission),
];

type ContainerdTest = fn(containerd::Kind) -> Result<()>;

const CONTAINERDS: &[containerd::Kind] = &containerd::Kind::ALL;
const NEWEST_CONTAINERD: &[containerd::Kind] = &[containerd::Kind::Containerd2_1];

/// Tests of containerd without docker, and on which ones, as for docker.
const CONTAINERD_TESTS: &[(&str, &[containerd::Kind], ContainerdTest)] = &[
    ("run_is_as_asked", CONTAINERDS, containerd::as_asked),
    ("run_has_the_terminal", CONTAINERDS, terminal::containerd),
    ("run_unpacks_what_is_not", CONTAINERDS, containerd::unpacks),
    ("run_of_an_archive_leaves_none_of_it", CONTAINERDS, containerd::archive),
    ("run_ends_by_signals_and_in_time", CONTAINERDS, containerd::signals),
    ("run_ends_with_its_job", NEWEST_CONTAINERD, containerd::ends_with_its_job),
    ("run_killed_leaves_nothing", CONTAINERDS, containerd::killed),
    ("run_whose_calls_fail_leaves_nothing", CONTAINERDS, containerd::failing_calls),
    ("run_of_a_killed_ctr_is_left", NEWEST_CONTAINERD, containerd::killed_ctr),
    ("run_outlives_its_shim", CONTAINERDS, containerd::killed_shim),
    ("run_goes_on_without_containerd", CONTAINERDS, containerd::killed_containerd),
    ("run_ends_without_containerd", CONTAINERDS, containerd::lost_containerd),
    ("nothing_outlives_the_test", CONTAINERDS, containerd::nothing_outlives_the_test),
    ("run_whose_shim_is_forgotten_leaves_none", NEWEST_CONTAINERD, containerd::forgotten_shim),
    ("run_cancelled_while_it_is_made_leaves_nothing", CONTAINERDS, containerd::cancelled_while_made),
    ("run_leaves_nothing_over_a_reboot", NEWEST_CONTAINERD, containerd::reboot),
    ("run_is_known_by_labels", NEWEST_CONTAINERD, containerd::unrecorded),
    ("run_beside_recoveries_is_no_victim", NEWEST_CONTAINERD, containerd::side_by_side),
    ("run_whose_removal_fails_is_kept", NEWEST_CONTAINERD, containerd::failing),
    ("run_whose_shim_hangs_is_kept", NEWEST_CONTAINERD, containerd::hanging_shim),
];

/// Tests of docker, and on which ones. The longest come first, so that nobody waits for one of them in the end.
const TESTS: &[(&str, &[Kind], Test)] = &[
    ("run_killed_leaves_nothing", EVERY, run::killed),
    ("pull_gets_past_every_fault", EVERY, pull::faults),
    ("with_policy_off_upstreams_bytes_are_solved", EVERY, definitions::with_policy_off),
    ("build_names_who_waits_for_whom", BUILDKITS, build::waits),
    ("rewritten_races_are_none", ENDS, rewrite::races),
    ("rewritten_apt_installs_side_by_side", NEWEST, rewrite::apt),
    ("apt_installs_side_by_side", ENDS, hazards::apt),
    ("a_lock_inversion_ends", ENDS, hazards::lock_inversion),
    ("a_mixed_cache_is_never_empty", ENDS, hazards::mixed_sharing),
    ("racing_stages_take_turns", BUILDKITS, hazards::race),
    ("what_has_no_hazard_is_upstreams_build", EVERY, equal::without_hazards),
    ("with_policy_off_all_is_upstreams_build", EVERY, equal::with_policy_off),
    ("a_hazard_is_told_once", ENDS, messages::hazard),
    ("a_wait_is_told_before_it", ENDS, messages::waits),
    ("upstreams_errors_are_upstreams", ENDS, messages::upstreams_errors),
    ("errors_of_long_files_are_upstreams", ENDS, messages::long_files_errors),
    ("the_image_is_installed_once", INTERFACES, image::installed_once),
    ("the_syntax_line_finds_the_image", INTERFACES, image::syntax_line),
    ("what_options_there_are_not_is_named", ENDS, options::unknown_ones),
    ("another_frontend_may_stand_behind_ours", ENDS, options::upstream_image),
    ("comments_are_followed", ENDS, options::comments),
    ("what_documents_say_is_typed", NEWEST, documents::typed),
    ("what_was_done_is_counted", NEWEST, figures::counted),
    ("a_check_has_our_findings_beside_upstreams", ENDS, options::lint),
    ("no_cache_may_keep_the_caches", ENDS, no_cache::own_cache),
    ("no_cache_may_keep_a_neighbours_cache", ENDS, no_cache::neighbours_cache),
    ("nothing_is_left_running", ENDS, messages::nothing_left),
    ("a_cancelled_build_ends_as_upstreams", ENDS, cancel::cancelled),
    ("an_engine_elsewhere_takes_the_image_from_a_registry", ENDS, remote::over_tcp),
    ("rewritten_mixed_caches_are_never_empty", ENDS, rewrite::mixed_sharing),
    ("rewritten_lock_inversions_end", ENDS, rewrite::lock_inversion),
    ("rewritten_orders_hold_and_stay_cached", ENDS, rewrite::order),
    ("an_order_holds_and_stays_cached", ENDS, order::order),
    ("an_order_drags_no_stage_into_a_target", ENDS, order::order_of_one_target),
    ("an_order_leaves_nothing_in_the_image", INTERFACES, order::order_leaves_nothing),
    ("a_primer_runs_each_time_and_alone", ENDS, primer::primer),
    ("a_primer_finds_its_caches_gone", ENDS, primer::primer_after_prune),
    ("a_primer_leaves_nothing_in_the_image", INTERFACES, primer::primer_leaves_nothing),
    ("pull_takes_the_mirror_first", INTERFACES, pull::from_the_mirror),
    ("pull_knows_a_digest", INTERFACES, pull::choice::by_digest),
    ("pull_takes_its_platform_of_an_index", INTERFACES, pull::choice::of_an_index),
    ("pull_takes_the_platform_that_is_asked_for", INTERFACES, pull::choice::of_a_platform),
    ("pull_is_done_once_for_sixteen_jobs", NEWEST, pull::sixteen_jobs),
    ("pull_finds_the_newest", NEWEST, pull::choice::latest),
    ("pull_finds_the_newest_of_its_own_registry", NEWEST, pull::choice::latest_fresh),
    ("pull_that_is_killed_leaves_no_name", INTERFACES, pull::killed),
    ("pull_loads_into_an_engine_that_cannot_reach_us", INTERFACES, pull::apart),
    ("pull_logs_in_by_token", NEWEST, pull::tokens),
    ("pull_of_docker_itself_may_keep_wrong_content", STORES, pull::dockers_own),
    ("a_prune_takes_the_least_recently_used_first", INTERFACES, prune::least_recently_used_first),
    ("a_prune_spares_what_is_needed", INTERFACES, prune::spares_what_is_needed),
    ("a_prune_spares_parents_of_what_stays", INTERFACES, prune::parents_stay_with_their_children),
    ("a_prune_skips_beside_another", NEWEST, prune::prunes_do_not_queue),
    ("a_prune_takes_build_cache_by_its_id", INTERFACES, prune::switches::build_cache_by_its_id),
    ("a_prune_takes_ended_containers_of_dead_owners", ENDS, prune::switches::containers),
    ("a_prune_takes_unused_volumes_and_networks", ENDS, prune::switches::volumes_and_networks),
    ("a_prune_takes_build_cache_down_to_its_size", ENDS, prune::switches::build_cache_by_size),
    ("a_prune_spares_what_a_job_built", STORES, prune::switches::spares_what_a_job_built),
    ("a_prune_goes_on_after_a_refusal", NEWEST, prune::goes_on_after_a_refusal),
    ("a_prune_spares_what_gets_a_container", INTERFACES, prune::containers_that_come_late),
    ("a_prune_tells_that_the_engine_died", NEWEST, prune::engine_that_dies),
    ("a_watch_outlives_the_engine", ENDS, prune::watch::outlives_the_engine),
    ("a_watch_goes_on_after_a_refusal", NEWEST, prune::watch::goes_on_after_a_refusal),
    ("two_ways_to_an_engine_are_one_lock", ENDS, store::one_lock),
    ("two_engines_are_two_locks", ENDS, store::two_locks),
    ("leases_are_of_what_is_there", INTERFACES, store::leases),
    ("status_and_doctor_see_the_engine", EVERY, store::status_and_doctor),
    ("build_makes_upstreams_image", STORES, build::upstreams_image),
    ("build_mends_a_race", ENDS, build::race),
    ("build_reads_standard_input", NEWEST, build::standard_input),
    ("build_leaves_out_what_upstream_does", NEWEST, build::ignored_files),
    ("build_holds_the_lock", NEWEST, build::holds_the_lock),
    ("build_ends_by_signals", NEWEST, build::signals),
    ("build_ends_when_it_is_killed", ENDS, build::killed),
    ("build_ends_with_its_job", NEWEST, build::orphaned),
    ("build_that_finds_its_job_ended_does_not_begin", NEWEST, build::orphaned_before),
    ("build_that_waits_ends_with_its_job", NEWEST, build::orphaned_in_line),
    ("build_ends_in_time", NEWEST, build::timeout),
    ("build_leases_what_it_made", INTERFACES, build::lease),
    ("build_exit_codes_are_buildxs", NEWEST, build::exit_codes),
    ("build_remembers_durations", ENDS, build::durations),
    ("run_is_as_dockers", ENDS, run::as_docker),
    ("run_has_the_terminal", ENDS, terminal::docker),
    ("run_ends_by_signals_and_in_time", ENDS, run::signals),
    ("run_ends_with_its_job", NEWEST, run::ends_with_its_job),
    ("run_that_is_detached_goes_with_its_job", NEWEST, run::detached),
    ("run_of_a_killed_docker_is_left", NEWEST, run::killed_docker),
    ("run_leaves_nothing_over_a_reboot", NEWEST, run::reboot),
    ("run_owns_no_copy_of_its_container", STORES, run::commit),
    ("run_beside_recoveries_is_no_victim", NEWEST, run::side_by_side),
    ("run_whose_removal_fails_is_kept", NEWEST, run::failing),
    ("a_cache_mount_is_swept_by_a_step", ENDS, sweep::cache_mount),
    ("run_of_a_killed_shim_leaves_nothing", ENDS, run::killed_shim),
    ("run_of_a_killed_engine_leaves_nothing", ENDS, run::killed_engine),
    ("run_whose_requests_fail_leaves_nothing", EVERY, run::failing_requests),
    ("run_ends_where_its_start_is_refused", ENDS, run::refused_start),
    ("build_recovers_first", NEWEST, build::recovers_first),
    ("build_that_outlived_its_runc_is_told", ENDS, build::step_without_runc),
];

fn main() -> ExitCode {
    if env::var_os(LATER).is_some() {
        eprintln!("tests on engines are for later");
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(THREADS);
    let durations = Arc::new(Durations::default());
    let pools = Kind::ALL.map(|kind| Arc::new(Pool::new(kind, OF_A_KIND, Arc::clone(&durations))));
    let mut trials = Vec::new();
    let mut add = |name: String, run: Box<dyn FnOnce() -> Result<()> + Send>| {
        let run = move || run().map_err(|error| format!("{error:#}").into());
        trials.push(Trial::test(name, run));
    };
    // Neighbours are of different engines, so that two threads seldom want the same one.
    for (name, kinds, test) in TESTS {
        for kind in *kinds {
            let name = format!("{}::{name}", kind.name());
            let (pool, durations, called) =
                (Arc::clone(&pools[*kind as usize]), Arc::clone(&durations), name.clone());
            add(name, Box::new(move || pool.with(|subject| durations.of(&called, || test(subject)))));
        }
    }
    for (name, kinds, test) in CONTAINERD_TESTS {
        for kind in *kinds {
            let name = format!("{}::{name}", kind.name());
            let (durations, called) = (Arc::clone(&durations), name.clone());
            add(name, Box::new(move || durations.of(&called, || test(*kind))));
        }
    }
    for (name, test) in OTHERS {
        let durations = Arc::clone(&durations);
        add((*name).to_owned(), Box::new(move || durations.of(name, test)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    let mut failed = conclusion.has_failed();
    for pool in pools {
        if let Err(error) = pool.stop() {
            eprintln!("error: {error:#}");
            failed = true;
        }
    }
    eprint!("{}", durations.slowest(SLOWEST));
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}
