//! Images of an engine, one by one.

use bollard::errors::Error::DockerResponseServerError;
use bollard::query_parameters::{ListImagesOptionsBuilder, RemoveImageOptionsBuilder};
use jiff::Timestamp;

use super::time;
use super::{Engine, Error};

/// An image that an engine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredImage {
    /// Its id: `sha256:…`.
    pub id: String,
    /// The id of the image that it was made from, where the classic builder or a commit says so.
    pub parent: Option<String>,
    /// Its names, `repository:tag`.
    pub names: Vec<String>,
    /// Its names in registries, `repository@digest`.
    pub digests: Vec<String>,
    /// When it was made, wherever that was.
    pub created: Timestamp,
    /// The bytes of its layers, those that it shares with others too.
    pub size: u64,
}

/// What became of a deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// It is deleted.
    Done,
    /// It was gone already.
    Gone,
    /// The engine keeps it, and says why.
    Refused(String),
}

impl Engine {
    /// All images, also those that have no name or are the parents of others. In one request, without `system df`.
    ///
    /// # Errors
    /// When the engine does not list them.
    pub async fn images(&self) -> Result<Vec<StoredImage>, Error> {
        let all = ListImagesOptionsBuilder::new().all(true).build();
        let listed = self.docker.list_images(Some(all)).await;
        let listed = listed.map_err(|source| self.refused("list its images", source))?;
        let image = |image: bollard::models::ImageSummary| StoredImage {
            id: image.id,
            parent: Some(image.parent_id).filter(|id| !id.is_empty()),
            names: named(image.repo_tags),
            digests: named(image.repo_digests),
            created: Timestamp::from_second(image.created).unwrap_or_default(),
            size: image.size.try_into().unwrap_or(0),
        };
        Ok(listed.into_iter().map(image).collect())
    }

    /// The image of this id as it is now, and when it got its last name, where the engine knows. None where it is gone.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn image(&self, id: &str) -> Result<Option<(StoredImage, Option<Timestamp>)>, Error> {
        let inspect = async {
            match self.docker.inspect_image(id).await {
                Err(DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        };
        let Some(image) = self.in_time(inspect, "look at an image").await? else { return Ok(None) };
        let tagged = image.metadata.and_then(|metadata| time(metadata.last_tag_time.as_deref()));
        let image = StoredImage {
            id: image.id.unwrap_or_else(|| id.to_owned()),
            parent: None,
            names: named(image.repo_tags.unwrap_or_default()),
            digests: named(image.repo_digests.unwrap_or_default()),
            created: time(image.created.as_deref()).unwrap_or_default(),
            size: image.size.unwrap_or(0).try_into().unwrap_or(0),
        };
        Ok(Some((image, tagged)))
    }

    /// Takes a name, or an id without names, from the engine, and with the last name the image. Never by force: what a
    /// container uses, or an image is made from, stays; and so do the nameless images that it was made from.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn delete_image(&self, reference: &str) -> Result<Deletion, Error> {
        let options = RemoveImageOptionsBuilder::new().noprune(true).build();
        match self.docker.remove_image(reference, Some(options), None).await {
            Ok(_) => Ok(Deletion::Done),
            answer => self.deletion(answer.map(drop), "delete an image"),
        }
    }

    pub(super) fn deletion(
        &self,
        answer: Result<(), bollard::errors::Error>,
        task: &'static str,
    ) -> Result<Deletion, Error> {
        match answer {
            Ok(()) => Ok(Deletion::Done),
            Err(DockerResponseServerError { status_code: 404, .. }) => Ok(Deletion::Gone),
            Err(DockerResponseServerError { message, .. }) => Ok(Deletion::Refused(message)),
            Err(source) => Err(self.refused(task, source)),
        }
    }
}

/// Engines say `<none>` for what has no name.
fn named(mut references: Vec<String>) -> Vec<String> {
    references.retain(|reference| !reference.contains("<none>"));
    references
}
