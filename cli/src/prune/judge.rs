//! Whether one image may go: the rules, which are asked when images are chosen and again right before each is deleted.

use std::time::Duration;

use jiff::Timestamp;

use super::Settings;
use super::choose::{Cause, Reason, Verdict};
use super::pattern::{canonical, repository};
use crate::engine::{Container, StoredImage};
use crate::image::FRONTEND;
use crate::store::Lease;

/// What is known of one image.
pub(super) struct Facts<'a> {
    pub(super) image: &'a StoredImage,
    /// When it was used last, as far as is known.
    pub(super) used: Timestamp,
    /// A lease that is for it.
    pub(super) lease: Option<&'a Lease>,
    /// A container that stays and was made from it.
    pub(super) container: Option<&'a Container>,
    /// The name or id of an image that stays and was made from it.
    pub(super) child: Option<&'a str>,
    /// Whether other images are made from it, so that it needs no name of its own.
    pub(super) is_parent: bool,
}

/// What holds for all images of one run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) settings: &'a Settings,
    pub(super) now: Timestamp,
    pub(super) is_pressed: bool,
}

impl Rules<'_> {
    /// For what has no size that is known: the disk does not ask for it.
    pub(super) fn unpressed(self) -> Self {
        Self { is_pressed: false, ..self }
    }

    pub(super) fn image(&self, facts: &Facts) -> Verdict {
        let Facts { image, used, lease, container, child, is_parent } = facts;
        let Settings { keep, repositories, dangling, .. } = self.settings;
        let names = || image.names.iter().chain(&image.digests);
        if let Some(lease) = lease {
            return Verdict::Stays(Reason::Leased(lease.image.clone()));
        }
        if let Some(container) = container {
            return Verdict::Stays(Reason::of(container));
        }
        let kept = |pattern: &&super::Pattern| {
            pattern.has_id(&image.id) || names().any(|name| pattern.has_image(name))
        };
        if let Some(pattern) = keep.iter().find(kept) {
            return Verdict::Stays(Reason::Kept(pattern.to_string()));
        }
        // It looks unused: no engine tells that a build used it.
        if names().any(|name| repository(&canonical(name)) == FRONTEND) {
            return Verdict::Stays(Reason::Frontend);
        }
        let is_outside = |name: &&String| !repositories.iter().any(|pattern| pattern.has_image(name));
        if !repositories.is_empty()
            && let Some(name) = names().find(is_outside)
        {
            return Verdict::Stays(Reason::Outside(name.clone()));
        }
        if names().next().is_none() && !is_parent && !dangling {
            return Verdict::Stays(Reason::Nameless);
        }
        if let Some(child) = child {
            return Verdict::Stays(Reason::Parent((*child).into()));
        }
        self.age(*used)
    }

    /// What its age alone says.
    pub(super) fn age(&self, used: Timestamp) -> Verdict {
        let age = self.now.duration_since(used).try_into().unwrap_or(Duration::ZERO);
        if age < self.settings.grace {
            Verdict::Stays(Reason::Grace(age))
        } else if age >= self.settings.older_than {
            Verdict::Goes(Cause::Old)
        } else if self.is_pressed {
            Verdict::Goes(Cause::Pressure)
        } else {
            Verdict::Stays(Reason::Young(age))
        }
    }
}

/// Whether the lease is for this image: by its id, or by one of its names. The latter is how an image is leased before it
/// is there, and how one that was built anew under its name stays leased.
pub(super) fn is_for(lease: &Lease, image: &StoredImage) -> bool {
    lease.id == image.id || {
        let leased = canonical(&lease.image);
        image.names.iter().chain(&image.digests).any(|name| canonical(name) == leased)
    }
}
