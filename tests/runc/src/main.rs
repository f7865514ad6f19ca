//! A `runc` that fails as 1.2.0 to 1.2.2 did when two containers make one mountpoint at once, for the front of an
//! engine's PATH. Whatever it is asked, it hands on to the next `runc` there.
//!
//! Those versions looked how much of a mountpoint's path was there, and then made the rest of it, directory by directory,
//! taking one that had come meanwhile for an error (runc issue 4543, buildkit issue 5566). A mount inside a shared cache
//! has its mountpoint in that cache, which other containers fill at the same time. The time between the look and the
//! making is stretched, so that the race is lost whenever two steps start together.

mod bundle;
mod mountpoint;

use std::env;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args_os().skip(1).collect();
    if let Some(bundle) = bundle::of_arguments(&arguments)
        && let Err(error) = mountpoint::make_all(&bundle)
    {
        eprintln!("runc run failed: unable to start container process: error during container init: {error}");
        return ExitCode::FAILURE;
    }
    let error = match next_runc() {
        Ok(runc) => Command::new(runc).args(arguments).exec(),
        Err(error) => error,
    };
    eprintln!("cannot run the real runc: {error}");
    ExitCode::FAILURE
}

/// The first `runc` in the PATH that is not this program.
fn next_runc() -> io::Result<PathBuf> {
    let own = env::current_exe()?;
    let path = env::var_os("PATH").unwrap_or_default();
    let candidates = env::split_paths(&path).map(|dir| dir.join("runc"));
    let mut others = candidates.filter(|path| path.canonicalize().is_ok_and(|path| path != own));
    others.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no other runc in the PATH"))
}
