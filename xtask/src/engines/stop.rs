//! Stopping an engine so that nothing is left of it, in whatever state it is found.

use std::{fs, io, path::Path, thread, time::Duration};

use anyhow::{Context, Result};

use super::{
    cgroup, mount, place, process, runc,
    state::{self, Health, Run},
};

/// Programs that an engine leaves running when its dockerd is killed.
const PROGRAMS: [&str; 4] = ["containerd", "containerd-shim-runc-v2", "dockerd", "runc"];

/// Stops the engine in `dir`, if it still runs, and removes all it has made: processes, mounts, cgroups, bridge, packet
/// filter rules, files. Doing it twice is doing it once.
///
/// # Errors
/// When something cannot be removed: then what is needed to try again is kept.
pub(super) fn stop_run(dir: &Path) -> Result<()> {
    const GRACE: Duration = Duration::from_secs(20);
    let run = Run::load(dir)?;
    if let Some(run) = &run {
        // Containers first: dockerd would give each of them ten seconds.
        cgroup::kill(&run.cgroup())?;
        if let Some(dockerd) = &run.state.dockerd {
            process::end(dockerd, GRACE)?;
        }
    }
    let sockets = run.as_ref().map_or(dir, |run| &run.state.sockets);
    for left in process::running_from(&place::engines_dir()?, &PROGRAMS, &[dir, sockets])? {
        process::end(&left, Duration::ZERO)?;
    }
    if let Some(run) = &run {
        // Between the two, dockerd may have started another container.
        cgroup::kill(&run.cgroup())?;
        runc::forget(&run.cgroup())?;
        cgroup::remove(&run.cgroup())?;
        run.state.network.remove()?;
    }
    // The state file goes last, with its directory.
    for dir in [sockets, dir] {
        mount::unmount_beneath(dir)?;
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.with_context(|| format!("cannot remove {}", dir.display()))?,
        }
    }
    Ok(())
}

/// Removes what dead engines and engines of dead owners left. The caller holds the lock of the runs.
///
/// What cannot be removed is reported, stays, and is tried again the next time.
pub(super) fn clean_up() -> Result<()> {
    let dirs = state::run_dirs()?;
    thread::scope(|scope| {
        for dir in &dirs {
            scope.spawn(|| {
                if let Err(error) = stop_if_dead(dir) {
                    eprintln!("warning: cannot clean up {}: {error:#}", dir.display());
                }
            });
        }
    });
    Ok(())
}

fn stop_if_dead(dir: &Path) -> Result<()> {
    match Run::load(dir)?.map(|run| run.health()).transpose()? {
        Some(Health::Starting | Health::Running | Health::Ended) => Ok(()),
        // Without a state file, the run was not yet begun, or already removed but for its files.
        Some(Health::Dead) | None => stop_run(dir),
    }
}
