//! Containers that `ci-build` made: found by their labels, stopped, and removed whatever they do.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error::{DockerContainerWaitError, DockerResponseServerError};
use bollard::query_parameters::{
    InspectContainerOptionsBuilder, ListContainersOptions, RemoveContainerOptionsBuilder,
    StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
};
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::{Deletion, Engine, Error, OWNER_LABEL};
use crate::failpoint;

/// A removal is over within this time: a container of many gigabytes takes minutes.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// What takes longer to measure goes unmeasured.
const MEASURING: Duration = Duration::from_secs(2);

/// A container with our labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedContainer {
    /// Its id.
    pub id: String,
    /// Its name, without the slash before it.
    pub name: String,
    /// Its image as it was named when the container was made.
    pub image: String,
    /// Its image's id.
    pub image_id: String,
    /// Its state in the engine's words: `created`, `running`, `exited`, …
    pub state: String,
    /// All its labels.
    pub labels: HashMap<String, String>,
}

/// Which containers have our labels from their image only, which was made from one of ours (`docker commit`): they are somebody
/// else's. Each image is asked for once.
#[derive(Debug)]
pub struct Inherited<'a> {
    engine: &'a Engine,
    /// The label that no two of our containers share.
    label: &'static str,
    of_images: HashMap<String, Option<String>>,
}

impl<'a> Inherited<'a> {
    /// Of this engine, by this label, of which each container of ours has another one.
    pub fn new(engine: &'a Engine, label: &'static str) -> Self {
        Self { engine, label, of_images: HashMap::new() }
    }

    /// Whether a container of this image has these labels from there.
    ///
    /// # Errors
    /// When the engine does not tell of the image in time.
    pub async fn has(&mut self, image: &str, labels: &HashMap<String, String>) -> Result<bool, Error> {
        if !self.of_images.contains_key(image) {
            let of_image = self.engine.image_labels(image).await?;
            let label = of_image.and_then(|mut of_image| of_image.remove(self.label));
            self.of_images.insert(image.to_owned(), label);
        }
        let inherited = self.of_images.get(image).and_then(Option::as_ref);
        Ok(inherited.is_some_and(|inherited| labels.get(self.label) == Some(inherited)))
    }
}

impl Engine {
    /// The containers that have this label, with this value if one is given, whatever their state.
    ///
    /// # Errors
    /// When the engine does not list them in time.
    pub async fn labelled(&self, label: &str, value: Option<&str>) -> Result<Vec<OwnedContainer>, Error> {
        let label = value.map_or_else(|| label.to_owned(), |value| format!("{label}={value}"));
        let filters = Some(HashMap::from([("label".to_owned(), vec![label])]));
        let options = ListContainersOptions { all: true, filters, ..Default::default() };
        let listed = async {
            injected()?;
            self.docker.list_containers(Some(options)).await
        };
        let listed = self.in_time(listed, "list its containers").await?;
        Ok(listed.into_iter().map(owned).collect())
    }

    /// All containers that `ci-build` made, whoever owns them.
    ///
    /// # Errors
    /// When the engine does not list them in time.
    pub async fn owned(&self) -> Result<Vec<OwnedContainer>, Error> {
        self.labelled(OWNER_LABEL, None).await
    }

    /// The bytes that a container wrote, where the engine tells soon: it takes it a walk through the files, and one that is half
    /// removed it cannot measure.
    pub async fn written(&self, id: &str) -> Option<u64> {
        let options = InspectContainerOptionsBuilder::new().size(true).build();
        let inspect = async {
            injected()?;
            self.docker.inspect_container(id, Some(options)).await
        };
        let found = self.within(MEASURING, inspect, "measure a container").await;
        found.ok()?.size_rw?.try_into().ok()
    }

    /// The labels of an image, which its containers have too; none where it is gone.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn image_labels(&self, id: &str) -> Result<Option<HashMap<String, String>>, Error> {
        let inspect = async {
            injected()?;
            match self.docker.inspect_image(id).await {
                Err(DockerResponseServerError { status_code: 404, .. }) => Ok(None),
                answer => answer.map(|image| Some(image.config.and_then(|c| c.labels).unwrap_or_default())),
            }
        };
        self.in_time(inspect, "look at an image").await
    }

    /// Whether a container's process is there, from the container itself: a list may be a moment behind.
    ///
    /// # Errors
    /// When the engine does not say in time.
    pub async fn runs(&self, id: &str) -> Result<bool, Error> {
        let state = self.inspected(id).await?.and_then(|found| found.state);
        Ok(state.and_then(|state| state.running).unwrap_or(false))
    }

    /// Asks a container to end, and kills it when it has not within this time. One that is gone is no error.
    ///
    /// # Errors
    /// When the engine does not do so.
    pub async fn stop(&self, id: &str, grace: Duration) -> Result<(), Error> {
        let seconds = i32::try_from(grace.as_secs()).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::new().t(seconds).build();
        let stop = async {
            injected()?;
            self.docker.stop_container(id, Some(options)).await
        };
        match tokio::time::timeout(grace + PATIENCE, stop).await {
            Err(_) => Err(Error::Hangs(self.endpoint.clone())),
            Ok(Ok(()) | Err(DockerResponseServerError { status_code: 404, .. })) => Ok(()),
            Ok(Err(source)) => Err(self.refused("stop a container", source)),
        }
    }

    /// Kills and deletes a container, and its anonymous volumes.
    ///
    /// # Errors
    /// When the engine does not answer in time.
    pub async fn remove(&self, id: &str) -> Result<Deletion, Error> {
        let options = RemoveContainerOptionsBuilder::new().v(true).force(true).build();
        let remove = async {
            injected()?;
            self.docker.remove_container(id, Some(options)).await
        };
        let Ok(answer) = tokio::time::timeout(PATIENCE, remove).await else {
            return Err(Error::Hangs(self.endpoint.clone()));
        };
        match answer {
            // Its own --rm is at it, or somebody else: then it is enough that it goes.
            Err(DockerResponseServerError { status_code: 409, message })
                if message.contains("in progress") =>
            {
                self.removed(id, message).await
            }
            answer => self.deletion(answer, "remove a container"),
        }
    }

    /// Waits for the end of a removal that is under way. One that fails ends the wait too (moby, `SetRemovalError`), so what
    /// counts is whether the container is gone.
    async fn removed(&self, id: &str, message: String) -> Result<Deletion, Error> {
        let options = WaitContainerOptionsBuilder::new().condition("removed").build();
        let wait = self.docker.wait_container(id, Some(options)).map(|ended| match ended {
            Ok(ended) => Ok(ended.error.and_then(|error| error.message)),
            // With what the container ended with; an error of the removal stands beside it.
            Err(DockerContainerWaitError { error, .. }) => Ok(Some(error)),
            Err(source) => Err(source),
        });
        let reason = match tokio::time::timeout(PATIENCE, wait.try_collect::<Vec<_>>()).await {
            Err(_) => None,
            Ok(Ok(reasons)) => reasons.into_iter().flatten().rfind(|reason| !reason.is_empty()),
            Ok(Err(DockerResponseServerError { status_code: 404, .. })) => return Ok(Deletion::Gone),
            Ok(Err(source)) => return Err(self.refused("remove a container", source)),
        };
        Ok(match self.inspected(id).await? {
            None => Deletion::Done,
            Some(_) => Deletion::Refused(reason.unwrap_or(message)),
        })
    }
}

/// An error where a test asks for one.
pub(super) fn injected() -> Result<(), bollard::errors::Error> {
    match failpoint::call_fails() {
        true => Err(std::io::Error::other("a test lets this call fail").into()),
        false => Ok(()),
    }
}

fn owned(listed: bollard::models::ContainerSummary) -> OwnedContainer {
    let name = listed.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
    OwnedContainer {
        id: listed.id.unwrap_or_default(),
        name: name.trim_start_matches('/').into(),
        image: listed.image.unwrap_or_default(),
        image_id: listed.image_id.unwrap_or_default(),
        state: listed.state.map(|state| state.to_string()).unwrap_or_default(),
        labels: listed.labels.unwrap_or_default(),
    }
}
