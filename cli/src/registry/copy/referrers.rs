//! What says something about an image: signatures, attestations, lists of parts. By the referrers of OCI 1.1, by the tag
//! that stands for them where a registry does not know those, and by the tags that cosign gave before.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Copier, CopyError, Repository};
use crate::image::{Digest, INDEX};
use crate::registry::answer::small_body;
use crate::registry::client::Ask;
use crate::registry::failure::Failure;
use crate::registry::manifest::{LONGEST, Manifest};
use crate::registry::reference::Target;

/// What cosign appends to the digest, for signatures, attestations and lists of parts.
const COSIGN: [&str; 3] = [".sig", ".att", ".sbom"];

/// Referrers can have referrers; nobody's have more generations than this.
const GENERATIONS: u32 = 4;

impl Copier {
    /// Copies what refers to a manifest and to its children, and tells how many there were.
    pub(super) async fn referrers(
        &self,
        from: Repository<'_>,
        to: Repository<'_>,
        top: &Manifest,
    ) -> Result<usize, CopyError> {
        let children = top.children().iter().map(|child| child.digest.clone());
        let mut subjects: Vec<Digest> = std::iter::once(top.digest.clone()).chain(children).collect();
        let mut copied = 0;
        for _ in 0..GENERATIONS {
            let mut next = Vec::new();
            for subject in subjects {
                for referrer in self.list(from, &subject).await? {
                    self.referrer(from, to, &referrer).await?;
                    next.push(referrer);
                }
            }
            copied += next.len();
            subjects = next;
        }
        for suffix in COSIGN {
            let tag = fallback(&top.digest) + suffix;
            if self.resolve(from, &tag).await?.is_some() {
                let manifest = self.manifest(from, &Target::Tag(tag.clone())).await?;
                if self.resolve(to, &tag).await?.as_ref() != Some(&manifest.digest) {
                    self.tree(from, to, &manifest, Some(&tag)).await?;
                }
                copied += 1;
            }
        }
        Ok(copied)
    }

    async fn referrer(
        &self,
        from: Repository<'_>,
        to: Repository<'_>,
        digest: &Digest,
    ) -> Result<(), CopyError> {
        if self.has_manifest(to, digest).await? {
            return Ok(());
        }
        let manifest = self.manifest(from, &Target::Digest(digest.clone())).await?;
        self.tree(from, to, &manifest, None).await?;
        // Sent once more for the answer: it costs a few hundred bytes, and only where there are referrers.
        let is_listed = self.put(to, &manifest, None).await?;
        match &manifest.subject {
            Some(subject) if !is_listed => self.list_by_tag(to, subject, &manifest).await,
            _ => Ok(()),
        }
    }

    /// The digests of what refers to a manifest.
    async fn list(&self, from: Repository<'_>, subject: &Digest) -> Result<Vec<Digest>, CopyError> {
        let list = async || {
            let ask = Ask::to_read(Method::GET, from.name, &format!("referrers/{subject}"));
            match from.client.send(ask, self.limits).await {
                Ok(response) => {
                    let bytes = small_body(response, LONGEST as usize, self.limits.window).await?;
                    Ok(Some(Manifest::read(bytes, Some(INDEX))?))
                }
                // A registry that does not know the question has many ways to say so.
                Err(Failure::Status { code: 400..=499, .. }) => Ok(None),
                Err(failure) => Err(failure),
            }
        };
        let told = self.patiently(from.client, || format!("referrers of {subject}"), list).await?;
        let told = match told {
            Some(told) => Some(told),
            None => self.by_tag(from, subject).await?,
        };
        Ok(told.iter().flat_map(|index| index.children()).map(|child| child.digest.clone()).collect())
    }

    async fn by_tag(
        &self,
        repository: Repository<'_>,
        subject: &Digest,
    ) -> Result<Option<Manifest>, CopyError> {
        let tag = fallback(subject);
        if self.resolve(repository, &tag).await?.is_none() {
            return Ok(None);
        }
        self.manifest(repository, &Target::Tag(tag)).await.map(Some)
    }

    /// Adds a referrer to the list that stands under a tag (distribution specification 1.1, "Referrers Tag Schema").
    async fn list_by_tag(
        &self,
        to: Repository<'_>,
        subject: &Digest,
        referrer: &Manifest,
    ) -> Result<(), CopyError> {
        let list = self.by_tag(to, subject).await?;
        let document = list.and_then(|list| serde_json::from_slice::<Value>(&list.bytes).ok());
        let known = document.as_ref().and_then(|document| document["manifests"].as_array());
        let mut manifests: Vec<Value> = known.cloned().unwrap_or_default();
        if manifests.iter().any(|known| known["digest"] == referrer.digest.as_str()) {
            return Ok(());
        }
        manifests.push(described(referrer));
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
        let index = Manifest::read(index.to_string().into(), Some(INDEX)).map_err(|failure| CopyError {
            registry: to.client.address().host.clone(),
            what: fallback(subject),
            failure,
        })?;
        self.put(to, &index, Some(&fallback(subject))).await.map(drop)
    }
}

/// The tag that stands for the referrers of a manifest.
fn fallback(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// A referrer as lists have it: with what kind of artifact it is, and its annotations.
fn described(referrer: &Manifest) -> Value {
    let document: Value = serde_json::from_slice(&referrer.bytes).unwrap_or_default();
    let kind = [&document["artifactType"], &document["config"]["mediaType"]];
    let kind = kind.into_iter().find(|kind| kind.as_str().is_some_and(|kind| !kind.is_empty()));
    let mut described = json!({
        "mediaType": referrer.media_type,
        "digest": referrer.digest.as_str(),
        "size": referrer.bytes.len(),
    });
    if let Some(kind) = kind {
        described["artifactType"] = kind.clone();
    }
    if document["annotations"].is_object() {
        described["annotations"] = document["annotations"].clone();
    }
    described
}
