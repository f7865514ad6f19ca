//! Images that the engine pulls, and the names that it gives them.

use bollard::auth::DockerCredentials;
use bollard::errors::Error::DockerResponseServerError;
use bollard::query_parameters::{
    CreateImageOptionsBuilder, ImportImageOptionsBuilder, RemoveImageOptionsBuilder, TagImageOptionsBuilder,
};
use futures_util::{Stream, TryStreamExt as _};

use super::{Engine, Error};
use crate::image::Digest;
use crate::registry::Platform;

/// An image as the engine knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id: the digest of its configuration, or of its manifest or index where containerd keeps it.
    pub id: String,
    /// The digests that it is known by, each behind the name of a repository.
    pub repo_digests: Vec<String>,
    /// What it runs on.
    pub platform: Platform,
}

/// Who the engine is to a registry.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// The registry.
    pub registry: String,
}

impl Engine {
    /// The image that this name, digest or id means.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn find_image(&self, name: &str) -> Result<Option<Found>, Error> {
        let inspect = async {
            match self.docker.inspect_image(name).await {
                Err(DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                answer => answer.map(Some),
            }
        };
        let found = self.in_time(inspect, "look for the image").await?;
        Ok(found.and_then(|found| {
            let text = |text: Option<String>| text.filter(|text| !text.is_empty());
            let platform = Platform {
                os: text(found.os).unwrap_or_else(|| "linux".into()),
                architecture: text(found.architecture)?,
                variant: text(found.variant),
            };
            Some(Found { id: found.id?, repo_digests: found.repo_digests.unwrap_or_default(), platform })
        }))
    }

    /// The platform that the engine runs on.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn platform(&self) -> Result<Platform, Error> {
        let version = self.in_time(self.docker.version(), "name its version").await?;
        let word = |word: Option<String>, usual: &str| word.unwrap_or_else(|| usual.into());
        let (os, architecture) = (word(version.os, "linux"), word(version.arch, "amd64"));
        Ok(Platform { os, architecture, variant: None })
    }

    /// Lets the engine pull an image by its digest.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn pull(
        &self,
        repository: &str,
        digest: &Digest,
        platform: Option<&Platform>,
        account: Option<&Account>,
    ) -> Result<(), Error> {
        let mut options = CreateImageOptionsBuilder::new().from_image(repository).tag(digest.as_str());
        let platform = platform.map(ToString::to_string);
        if let Some(platform) = &platform {
            options = options.platform(platform);
        }
        let credentials = account.map(|account| DockerCredentials {
            username: Some(account.user.clone()),
            password: Some(account.password.clone()),
            serveraddress: Some(account.registry.clone()),
            ..DockerCredentials::default()
        });
        let progress = self.docker.create_image(Some(options.build()), None, credentials);
        let pulled = progress.try_for_each(|_| async { Ok(()) }).await;
        pulled.map_err(|source| self.refused("pull the image", source))
    }

    /// Gives an image a tag, taken from another image if need be.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn tag(&self, image: &str, repository: &str, tag: &str) -> Result<(), Error> {
        let options = TagImageOptionsBuilder::new().repo(repository).tag(tag).build();
        self.in_time(self.docker.tag_image(image, Some(options)), "name the image").await
    }

    /// Takes a name from an image that has others. One that is gone already is no error.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn untag(&self, name: &str) -> Result<(), Error> {
        let options = RemoveImageOptionsBuilder::new().noprune(true).build();
        let remove = async {
            match self.docker.remove_image(name, Some(options), None).await {
                Err(DockerResponseServerError { status_code: 404, .. }) => Ok(()),
                answer => answer.map(drop),
            }
        };
        self.in_time(remove, "take a name from the image").await
    }

    /// Loads an archive.
    ///
    /// # Errors
    /// When the engine refuses it, or the archive ends in an error.
    pub async fn load_archive<E>(
        &self,
        archive: impl Stream<Item = Result<bytes::Bytes, E>> + Send + 'static,
    ) -> Result<(), Error>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>> + 'static,
    {
        let quiet = ImportImageOptionsBuilder::new().quiet(true).build();
        let answers = self.docker.import_image_stream(quiet, archive, None);
        let loaded = answers.try_for_each(|_| async { Ok(()) }).await;
        loaded.map_err(|source| self.refused("load the image", source))
    }
}
