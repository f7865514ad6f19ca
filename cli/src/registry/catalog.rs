//! The tags of a repository with the times at which their images were made, and their end.

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use reqwest::Method;

use super::answer::small_body;
use super::client::Ask;
use super::copy::{Copier, CopyError, Repository};
use super::failure::Failure;
use super::manifest::{Content, Manifest};
use super::reference::Target;
use super::select::{TagPattern, Tagged};
use crate::image::Digest;

/// A configuration longer than this is refused.
const LONGEST_CONFIG: usize = 8 << 20;

/// What became of a tag that was to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is gone.
    Gone,
    /// Another tag, which is to stay, points to the same image.
    Needed,
    /// The registry deletes nothing.
    Refused,
}

impl Copier {
    /// The tags of these kinds, all where there are none, with their times. Only tags that do not tell their own time cost
    /// requests, and only where `needs_times`.
    ///
    /// # Errors
    /// When the registry fails for good.
    pub async fn tags(
        &self,
        repository: Repository<'_>,
        patterns: &[TagPattern],
        needs_times: bool,
    ) -> Result<Vec<Tagged>, CopyError> {
        let is_meant = |tag: &String| {
            // What stands for referrers and signatures goes with the images that it is about.
            !tag.starts_with("sha256-")
                && (patterns.is_empty() || patterns.iter().any(|pattern| pattern.matches(tag)))
        };
        let tags = self.all_tags(repository).await?.into_iter().filter(is_meant);
        let timed = tags.map(|tag| async {
            let told = patterns.iter().find_map(|pattern| pattern.time_in(&tag));
            let at = match told {
                Some(told) => told,
                None if needs_times => self.made_at(repository, &tag).await?,
                None => Timestamp::UNIX_EPOCH,
            };
            Ok(Tagged { tag, at })
        });
        stream::iter(timed).buffered(self.jobs()).try_collect().await
    }

    async fn all_tags(&self, repository: Repository<'_>) -> Result<Vec<String>, CopyError> {
        let list = async || match repository.client.tags(repository.name, self.limits).await {
            // Nothing was ever sent there.
            Err(failure) if failure.is_absence() => Ok(Vec::new()),
            listed => listed,
        };
        self.patiently(repository.client, || format!("tags of {}", repository.name), list).await
    }

    /// When an image was made, as its configuration says; for an index, its first image's. Who does not say is as old as can be.
    async fn made_at(&self, repository: Repository<'_>, tag: &str) -> Result<Timestamp, CopyError> {
        let manifest = self.manifest(repository, &Target::Tag(tag.into())).await?;
        let manifest = match manifest.children().first() {
            Some(child) => self.manifest(repository, &Target::Digest(child.digest.clone())).await?,
            None => manifest,
        };
        Ok(self.created(repository, &manifest).await?.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    async fn created(
        &self,
        repository: Repository<'_>,
        manifest: &Manifest,
    ) -> Result<Option<Timestamp>, CopyError> {
        let Content::Image { config, .. } = &manifest.content else { return Ok(None) };
        let get = async || {
            let response = repository.client.blob(repository.name, &config.digest, 0, self.limits).await?;
            let bytes = small_body(response, LONGEST_CONFIG, self.limits.window).await?;
            let got = Digest::of(&bytes);
            if got == config.digest {
                Ok(bytes)
            } else {
                Err(Failure::WrongDigest { expected: config.digest.clone(), got })
            }
        };
        let bytes = self.patiently(repository.client, || format!("blob {}", config.digest), get).await?;
        let document: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        Ok(document["created"].as_str().and_then(|created| created.parse().ok()))
    }

    /// Deletes the images of tags. What a tag that stays points to is kept, since a registry deletes an image, and with it all
    /// of its tags.
    ///
    /// # Errors
    /// When the registry fails for good in another way than by refusing.
    pub async fn remove(
        &self,
        repository: Repository<'_>,
        tags: &[String],
    ) -> Result<Vec<(String, Removal)>, CopyError> {
        let mut needed = Vec::new();
        if !tags.is_empty() {
            for tag in self.all_tags(repository).await?.iter().filter(|tag| !tags.contains(tag)) {
                needed.extend(self.resolve(repository, tag).await?);
            }
        }
        let mut removed = Vec::new();
        for tag in tags {
            let removal = match self.resolve(repository, tag).await? {
                Some(digest) if needed.contains(&digest) => Removal::Needed,
                Some(digest) => self.delete(repository, &digest).await?,
                None => Removal::Gone,
            };
            removed.push((tag.clone(), removal));
        }
        Ok(removed)
    }

    async fn delete(&self, repository: Repository<'_>, digest: &Digest) -> Result<Removal, CopyError> {
        let delete = async || {
            let mut ask = Ask::to_write(Method::DELETE, repository.name, &format!("manifests/{digest}"));
            ask.scopes = vec![format!("repository:{}:pull,push,delete", repository.name)];
            match repository.client.send(ask, self.limits).await {
                Ok(_) => Ok(Removal::Gone),
                Err(failure) if failure.is_absence() => Ok(Removal::Gone),
                Err(Failure::Status { code: 405, .. }) => Ok(Removal::Refused),
                Err(failure) => Err(failure),
            }
        };
        self.patiently(repository.client, || format!("deletion of {}@{digest}", repository.name), delete)
            .await
    }
}
