//! Which other platforms steps can run on.

use crate::doctor::{Check, Facts, Finding};

pub(in crate::doctor) const CHECK: Check = Check {
    name: "binfmt",
    about: "Which platforms the kernel runs by emulation. One that is registered without the flag F is wrong: containers do not see its \
        interpreter, and their steps fail with `exec format error`.",
    look,
};

fn look(facts: &Facts) -> Finding {
    let emulators =
        || facts.interpreters.iter().filter(|entry| entry.name.starts_with("qemu-") && entry.is_enabled);
    let names = |is_fixed| {
        let names: Vec<_> = emulators()
            .filter(|entry| entry.is_fixed == is_fixed)
            .map(|entry| entry.name.trim_start_matches("qemu-"))
            .collect();
        names.join(", ")
    };
    let (usable, hidden) = (names(true), names(false));
    match (usable.is_empty(), hidden.is_empty()) {
        (_, false) => Finding::wrong(
            format!("containers do not see what emulates {hidden}"),
            &[
                "register it anew with the flag F, as Debian's qemu-user-static or `docker run --privileged tonistiigi/binfmt` do",
            ],
        ),
        (true, true) => Finding::note(
            "only this machine's own platform",
            &["for builds of other platforms install qemu-user-static and binfmt-support"],
        ),
        (false, true) => Finding::fine(format!("this machine's own, and {usable}")),
    }
}
