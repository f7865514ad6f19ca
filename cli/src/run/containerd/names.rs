//! What the things of one run are called. All are named by its record before any is there, so the one record speaks for all.

use crate::engine::OWNER_LABEL;
use crate::engine::containerd::Labels;
use crate::journal::{JOB_LABEL, Owner, RUN_LABEL};
use crate::store::job;

/// The names of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Names {
    run: String,
}

impl Names {
    /// Those of the run that has the record of this name.
    pub(crate) fn of(run: &str) -> Self {
        Self { run: run.into() }
    }

    /// The record's name, which is the value of the label [`RUN_LABEL`].
    pub(crate) fn run(&self) -> &str {
        &self.run
    }

    /// The lease, under which all else is made; the container where it is not called otherwise; and its snapshot.
    pub(crate) fn id(&self) -> String {
        format!("ci-build-{}", self.run)
    }

    /// The snapshot that the layer of this number is unpacked in.
    pub(crate) fn extraction(&self, layer: usize) -> String {
        format!("{}-layer-{layer}", self.id())
    }

    /// What a blob is written under.
    pub(crate) fn ingest(&self, digest: &str) -> String {
        format!("{}-{digest}", self.id())
    }

    /// Whether a snapshot or a half-written blob is this run's, by its key.
    pub(crate) fn owns(&self, key: &str) -> bool {
        key.strip_prefix(&self.id()).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }

    /// The control group of its processes. It finds them also when nobody else knows of them any more.
    pub(crate) fn cgroup(&self) -> String {
        format!("/ci-build/{}", self.run)
    }

    /// What all of it is labelled with.
    pub(crate) fn labels(&self, owner: &Owner) -> Labels {
        let job = job::process().map(|job| (JOB_LABEL.to_owned(), Owner::of(job).to_string()));
        let ours = [(OWNER_LABEL.to_owned(), owner.to_string()), (RUN_LABEL.to_owned(), self.run.clone())];
        ours.into_iter().chain(job).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_knows_its_own() {
        let names = Names::of("0123456789abcdef");
        let [layer, ingest] = [names.extraction(3), names.ingest("sha256:1")];
        assert!([names.id().as_str(), &layer, &ingest].into_iter().all(|key| names.owns(key)));
        let others = ["", "ci-build-", "ci-build-0123456789abcde", "ci-build-0123456789abcdef0", "sha256:1"];
        assert!(!others.into_iter().any(|key| names.owns(key)));
    }
}
