//! What the registry has, what it was asked for, and what is to go wrong.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::fault::{Fault, On};
use crate::image::{INDEX, Image, MANIFEST, digest};
use crate::login::Login;

/// A request and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path, with its query.
    pub path: String,
    /// The status of the answer.
    pub status: u16,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) repositories: BTreeMap<String, Repository>,
    pub(crate) uploads: HashMap<String, Vec<u8>>,
    pub(crate) next_upload: u64,
    pub(crate) requests: Vec<Request>,
    pub(crate) faults: HashMap<On, (Fault, Option<u32>)>,
    pub(crate) limit: Option<Limit>,
    pub(crate) has_referrers: bool,
    pub(crate) refuses_deletion: bool,
    pub(crate) refuses_mounts: bool,
    pub(crate) login: Option<Login>,
}

#[derive(Debug, Default)]
pub(crate) struct Repository {
    pub(crate) manifests: HashMap<String, (String, Bytes)>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) blobs: HashMap<String, Bytes>,
}

/// So many requests in any such time.
#[derive(Debug)]
pub(crate) struct Limit {
    pub(crate) most: usize,
    pub(crate) window: Duration,
    pub(crate) seen: VecDeque<Instant>,
}

impl Limit {
    /// How long to wait, if there were too many.
    pub(crate) fn take(&mut self, now: Instant) -> Option<Duration> {
        while self.seen.front().is_some_and(|first| now.duration_since(*first) >= self.window) {
            self.seen.pop_front();
        }
        match self.seen.front() {
            Some(first) if self.seen.len() >= self.most => Some(self.window - now.duration_since(*first)),
            _ => {
                self.seen.push_back(now);
                None
            }
        }
    }
}

impl State {
    /// Whether this goes wrong with the request, before anybody looks at it.
    pub(crate) fn begins_with(&mut self, on: On, fault: Fault) -> bool {
        self.faults.get(&on).is_some_and(|(next, _)| *next == fault) && self.fault(on).is_some()
    }

    /// The fault for this request, where there is one.
    pub(crate) fn fault(&mut self, on: On) -> Option<Fault> {
        let (fault, left) = self.faults.get_mut(&on)?;
        let fault = *fault;
        if let Some(left) = left {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.faults.remove(&on);
            }
        }
        Some(fault)
    }
}

impl Repository {
    pub(crate) fn put(&mut self, tag: &str, image: &Image) {
        for blob in image.layers.iter().chain([&image.config]) {
            self.blobs.insert(digest(blob), blob.clone());
        }
        self.put_manifest(Some(tag).filter(|tag| !tag.is_empty()), MANIFEST, &image.manifest);
    }

    pub(crate) fn put_manifest(&mut self, tag: Option<&str>, media_type: &str, bytes: &Bytes) -> String {
        let digest = digest(bytes);
        self.manifests.insert(digest.clone(), (media_type.into(), bytes.clone()));
        if let Some(tag) = tag {
            self.tags.insert(tag.into(), digest.clone());
        }
        digest
    }

    /// A manifest by its tag or its digest.
    pub(crate) fn manifest(&self, name: &str) -> Option<(String, String, Bytes)> {
        let digest = self.tags.get(name).map_or(name, String::as_str);
        let (media_type, bytes) = self.manifests.get(digest)?;
        Some((digest.into(), media_type.clone(), bytes.clone()))
    }

    /// The list of what says something about a manifest.
    pub(crate) fn referrers(&self, subject: &str) -> Bytes {
        let mut found: Vec<_> = self
            .manifests
            .values()
            .filter_map(|(media_type, bytes)| {
                let manifest: serde_json::Value = serde_json::from_slice(bytes).ok()?;
                let is_about = manifest.pointer("/subject/digest")?.as_str() == Some(subject);
                let mut described = crate::image::descriptor(media_type, bytes);
                described["artifactType"] = manifest.get("artifactType").cloned().unwrap_or_default();
                is_about.then_some(described)
            })
            .collect();
        found.sort_by_key(ToString::to_string);
        serde_json::json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": found}).to_string().into()
    }
}
