//! Places at which a test can kill the command, or let a call fail. Only in builds with debug assertions: a release knows
//! neither the names nor the variables.

/// All labelled places, for tests to go through. Each is reached by some lifecycle: docs/recovery.md.
pub const ALL: &[&str] = &[
    // `ci-build run`.
    "run.asked",
    "run.recovered",
    "run.locked",
    "run.leased",
    "run.intended",
    "run.started",
    "run.ended",
    "run.found",
    "run.stopping",
    "run.stopped",
    "run.removing",
    "run.removed",
    "run.handing-over",
    "run.handed-over",
    "run.forgotten",
    // The same on containerd: what is made, in this order, and how it goes, of recovery too.
    "containerd.leased",
    "containerd.writing",
    "containerd.written",
    "containerd.unpacking",
    "containerd.applied",
    "containerd.unpacked",
    "containerd.prepared",
    "containerd.contained",
    "containerd.piped",
    "containerd.tasked",
    "containerd.clearing",
    "containerd.task-gone",
    "containerd.processes-gone",
    "containerd.container-gone",
    "containerd.snapshots-gone",
    "containerd.lease-gone",
    // `ci-build build`.
    "build.asked",
    "build.recovered",
    "build.locked",
    "build.scratch",
    "build.providing",
    "build.provided",
    "build.prepared",
    "build.started",
    "build.ended",
    "build.leasing",
    "build.leased",
    // `ci-build pull`.
    "pull.intended",
    "pull.pulled",
    "pull.untagged",
    // The journal, wherever it is used.
    "journal.adding",
    "journal.added",
    "journal.changing",
    "journal.changed",
    "journal.forgetting",
    // `ci-build recover`, and what builds and runs do first.
    "recover.asked",
    "recover.turn",
    "recover.tidied",
    "recover.leases",
    "recover.listed",
    "recover.chosen",
    "recover.removing",
    "recover.removed",
    "recover.forgetting",
    "recover.forgotten",
    "recover.failing",
    "recover.done",
];

/// Ends this process by SIGKILL where `CI_BUILD_TEST_KILL_AT` names this place.
#[inline]
pub(crate) fn reach(place: &str) {
    debug_assert!(ALL.contains(&place), "the place '{place}' is not in the list");
    #[cfg(debug_assertions)]
    if std::env::var_os("CI_BUILD_TEST_KILL_AT").is_some_and(|at| at == place) {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        // The signal is delivered before the call returns to us.
    }
    #[cfg(not(debug_assertions))]
    let _ = place;
}

/// Whether this call to an engine is to fail: the Nth of this process, where `CI_BUILD_TEST_FAIL_CALL` is N.
#[inline]
pub(crate) fn call_fails() -> bool {
    #[cfg(debug_assertions)]
    {
        use std::sync::atomic::{AtomicUsize, Ordering};
        static CALLS: AtomicUsize = AtomicUsize::new(0);
        let call = CALLS.fetch_add(1, Ordering::Relaxed) + 1;
        std::env::var("CI_BUILD_TEST_FAIL_CALL").is_ok_and(|at| at == call.to_string())
    }
    #[cfg(not(debug_assertions))]
    false
}

/// The boot that this process is to believe in, for a reboot that need not happen: `CI_BUILD_TEST_BOOT`.
#[inline]
pub(crate) fn boot() -> Option<String> {
    #[cfg(debug_assertions)]
    return std::env::var("CI_BUILD_TEST_BOOT").ok();
    #[cfg(not(debug_assertions))]
    None
}
