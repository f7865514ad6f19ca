//! Where the engine keeps images.

use crate::doctor::{Check, Facts, Finding};
use crate::engine::ImageStore;

pub(in crate::doctor) const CHECK: Check = Check {
    name: "image-store",
    about: "Which kind of store the engine's images are in. With containerd's, the engine's own `image prune` and `system prune` break pulls \
        that run at the same time (moby issue 53321).",
    look,
};

fn look(facts: &Facts) -> Finding {
    let Ok(info) = &facts.engine else { return Finding::no_engine() };
    match &info.store {
        ImageStore::GraphDriver(_) => Finding::fine(info.store.to_string()),
        ImageStore::Containerd(_) => Finding::note(
            format!("{}: the engine's own image prune breaks pulls that run at the same time", info.store),
            &[
                "run it under the lock: `ci-build lock --exclusive -- docker image prune -af`, and pulls under `ci-build lock --shared`",
            ],
        ),
    }
}
