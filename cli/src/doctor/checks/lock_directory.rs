//! Where locks and leases lie.

use crate::doctor::{Check, Facts, Finding};
use crate::store::State;

pub(in crate::doctor) const CHECK: Check = Check {
    name: "lock-directory",
    about: "The state directory can be used, is safe from others, and is on a file system with a flock of its own ([locks.md](locks.md)); one \
        that is gone with the next boot, or that only this container sees, is a note.",
    look,
};

fn look(facts: &Facts) -> Finding {
    let State { path, mode, file_system } = match &facts.state {
        Ok(state) => state,
        Err(failure) => {
            let help: Vec<_> = failure.help().iter().map(String::as_str).collect();
            return Finding::wrong(failure.message(), &help);
        }
    };
    let path = path.display();
    let Some(mode) = mode else {
        return Finding::fine(format!("{path}, which is made when it is first needed"));
    };
    let found =
        format!("{path}, mode {mode:04o}, {}", file_system.unwrap_or("a file system that is not known"));
    match file_system {
        Some("overlay") => Finding::note(
            format!("{found}: only this container sees it"),
            &["mount the host's directory here, or name it with CI_BUILD_STATE_DIR"],
        ),
        Some("tmpfs") => Finding::note(
            format!("{found}: leases with a time end with a boot"),
            &["keep it on a disk if they are to outlive one"],
        ),
        _ => Finding::fine(found),
    }
}
