//! Getting an image into the engine from the first source that proves itself (docs/pull.md).
//!
//! The engine's own pull does what only it can: it knows which layers it has, unpacks, and keeps its records. It pulls
//! from a registry that we are to it ([`serve`]), whose content ([`content`]) comes from the chain of sources.

mod archive;
mod content;
mod error;
mod serve;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tracing::field::Empty;
use tracing::{Instrument as _, Span, info};

use content::{Content, Identities};
use serve::Server;

pub use content::Failed;
pub use error::Error;

use crate::engine::{Account, Engine, ImageStore};
use crate::error::with_cause;
use crate::failpoint;
use crate::image::Digest;
use crate::journal::{EngineAt, Entry, Intended, Journal, Owner, Record};
use crate::registry::{
    Allowance, Limits, Mirror, Platform, Reference, Retry, Sources, Target, Watch, chain, password_for,
};
use crate::store::{Lease, Quiet, Spool, Store, Term};

/// How often the engine's pull is begun anew where it fails by itself: a prune may take what it has so far.
const ENGINE_TIMES: u32 = 3;

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// The image.
    pub image: Reference,
    /// Its platform, if another than the engine's.
    pub platform: Option<Platform>,
    /// Whether the image's own registry says what a tag means, whatever mirrors and the engine have.
    pub is_fresh: bool,
}

/// How it is to be had.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The mirrors.
    pub mirrors: Vec<Mirror>,
    /// What mirrors have to prove.
    pub limits: Limits,
    /// What is asked of a source where nobody else is left.
    pub patient: Limits,
    /// How requests are repeated.
    pub retry: Retry,
    /// After this long it is given up.
    pub deadline: Duration,
    /// Where to keep what is on its way, if not with the store's state.
    pub spool: Option<PathBuf>,
}

/// Where it goes.
#[derive(Debug)]
pub struct Room<'a> {
    /// The engine.
    pub engine: &'a Engine,
    /// Its store.
    pub store: &'a Store,
    /// For how long the image is needed.
    pub term: Option<Term>,
    /// Where it is written down what has to go with us, and where that is in the engine's words; none where the engine has none.
    pub journal: Option<(&'a Journal, &'a EngineAt)>,
}

/// What there is to tell before it is there.
#[derive(Debug, Clone, Copy)]
pub enum Notice<'a> {
    /// A tag means this digest, says this source.
    Resolved(&'a Digest, &'a str),
    /// Another process pulls the same image.
    Waits,
    /// The engine cannot reach us, so the image is loaded into it.
    Loads,
}

/// How an image came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The engine had it under this name.
    Local,
    /// The engine had it, under another name or as another process had pulled it while we waited.
    Present,
    /// It is from these sources.
    Fetched(Vec<String>),
}

impl How {
    /// In one word, for scripts and logs.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Present => "present",
            Self::Fetched(_) => "fetched",
        }
    }
}

/// An image in the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled {
    /// The engine's id.
    pub id: String,
    /// What registries know it by, where it is known.
    pub digest: Option<Digest>,
    /// How it came.
    pub how: How,
    /// What is left of the rate limits of the sources that tell.
    pub allowances: Vec<(String, Allowance)>,
}

/// Gets the image into the engine, under its name, and leases it.
///
/// # Errors
/// When no source gives it, in time, or the engine does not take it.
pub async fn pull(
    room: &Room<'_>,
    wish: &Wish,
    policy: &Policy,
    watch: Watch,
    tell: &(dyn Fn(Notice<'_>) + Sync),
) -> Result<Pulled, Error> {
    let chain = chain(&wish.image, &policy.mirrors, policy.limits, policy.patient);
    let job = Job {
        room,
        wish,
        policy,
        sources: Arc::new(Sources::new(chain, policy.retry, watch)),
        begun: Instant::now(),
        tell,
    };
    let span = tracing::info_span!("pull", image = %wish.image, outcome = Empty);
    let pulled = match tokio::time::timeout(policy.deadline, job.run()).instrument(span.clone()).await {
        Ok(pulled) => pulled,
        Err(_) => Err(job.too_late()),
    };
    span.in_scope(|| told(&span, &pulled));
    pulled
}

/// Tells who watches the host where an image came from.
fn told(span: &Span, pulled: &Result<Pulled, Error>) {
    let how = pulled.as_ref().map(|pulled| &pulled.how);
    span.record("outcome", how.map_or("failed", How::word));
    match how {
        Ok(How::Fetched(from)) => from.iter().for_each(|source| info!(%source, "got")),
        Ok(How::Local | How::Present) => info!(source = "engine", "got"),
        Err(_) => info!("not got"),
    }
}

struct Job<'a> {
    room: &'a Room<'a>,
    wish: &'a Wish,
    policy: &'a Policy,
    sources: Arc<Sources>,
    begun: Instant,
    tell: &'a (dyn Fn(Notice<'_>) + Sync),
}

impl Job<'_> {
    async fn run(&self) -> Result<Pulled, Error> {
        let Wish { image, platform, is_fresh } = self.wish;
        let engine = self.room.engine;
        if !is_fresh && let Some(found) = engine.find_image(&image.to_string()).await? {
            let is_right = platform.as_ref().is_none_or(|wanted| found.platform.is(wanted));
            if is_right && let Some(id) = self.keep(&image.to_string(), |id| id == found.id).await? {
                return Ok(Pulled { id, digest: None, how: How::Local, allowances: Vec::new() });
            }
        }
        let digest = match image.target() {
            Target::Digest(digest) => digest.clone(),
            Target::Tag(tag) => {
                let resolved = self.sources.resolve(tag, *is_fresh).await;
                let (digest, source) = resolved.map_err(|error| self.failed(Failed::Exhausted(error)))?;
                (self.tell)(Notice::Resolved(&digest, &source.name));
                digest
            }
        };
        let rest = self.policy.deadline.saturating_sub(self.begun.elapsed());
        let turn = self.room.store.turn(&digest, rest, || (self.tell)(Notice::Waits)).await?;
        let _turn = turn.ok_or_else(|| self.too_late())?;
        let spool = self.room.store.spool(self.policy.spool.as_deref(), &digest).map_err(Error::Spool)?;
        let spool = Arc::new(spool);
        let pulled = self.have(&digest, &spool).await;
        if pulled.is_ok() {
            // What it cannot remove now is removed a day later.
            let _ = spool.remove();
        }
        let (id, how) = pulled?;
        let allowance = |(name, client): (&str, &crate::registry::Client)| {
            client.allowance().map(|allowance| (name.to_owned(), allowance))
        };
        let allowances = self.sources.clients().filter_map(allowance).collect();
        Ok(Pulled { id, digest: Some(digest), how, allowances })
    }

    /// Lets the engine have this digest, in our turn.
    async fn have(&self, digest: &Digest, spool: &Arc<Spool>) -> Result<(String, How), Error> {
        let engine = self.room.engine;
        let platform = match &self.wish.platform {
            Some(platform) => platform.clone(),
            None => engine.platform().await?,
        };
        let content = Arc::new(Content::new(Arc::clone(&self.sources), Arc::clone(spool)));
        let identities = content.identities(digest, &platform).await.map_err(|failed| self.failed(failed))?;
        for id in identities.all() {
            let found = engine.find_image(id).await?;
            if found.is_some_and(|found| identities.has(&found.id) && found.platform.is(&platform))
                && let Some(id) = self.name(id, &content, &identities).await?
            {
                return Ok((id, How::Present));
            }
        }
        // Between the engine's pull and the lease somebody may delete the image: then all is done once more.
        for _ in 0..ENGINE_TIMES {
            let server = Server::start(Arc::clone(&content)).await;
            let server =
                server.map_err(|source| Error::Host { task: "serve the engine on the loopback", source })?;
            let named = self.through(&server, &content, &identities).await;
            if let Some(id) = named? {
                return Ok((id, How::Fetched(content.from())));
            }
        }
        let image = self.wish.image.clone();
        Err(Error::Lost { name: image.to_string(), image: Box::new(image) })
    }

    /// Lets the engine pull from the server, names what it pulled, and takes the server's name from it.
    async fn through(
        &self,
        server: &Server,
        content: &Arc<Content>,
        identities: &Identities,
    ) -> Result<Option<String>, Error> {
        let image = &self.wish.image;
        let engine = self.room.engine;
        let repository = format!("{}/{}", server.address(), image.repository());
        let name = format!("{repository}@{}", identities.top);
        let entry = self.intend(&name)?;
        failpoint::reach("pull.intended");
        let named = self.pulled(server, content, identities, (&repository, &name)).await;
        failpoint::reach("pull.pulled");
        // Also after a failure: it may have come as far as to have the name.
        let untagged = engine.untag(&name).await;
        failpoint::reach("pull.untagged");
        match (&untagged, entry) {
            (Ok(()), Some(entry)) => entry.never_made()?,
            (Err(error), Some(entry)) => entry.failed(with_cause(error)),
            (_, None) => {}
        }
        let named = named?;
        untagged?;
        Ok(named)
    }

    /// Writes down that an image is about to have this name.
    fn intend(&self, name: &str) -> Result<Option<Entry<'_, Intended>>, Error> {
        let (Some((journal, place)), Some(owner)) = (self.room.journal, Owner::this()) else {
            return Ok(None);
        };
        let command = format!("ci-build pull {}", self.wish.image);
        Ok(Some(journal.intend(Record::new(place.clone(), owner, &command).of_name(name))?))
    }

    /// Lets the engine pull from the server under the server's name, and gives what it pulled its own.
    async fn pulled(
        &self,
        server: &Server,
        content: &Arc<Content>,
        identities: &Identities,
        (repository, name): (&str, &str),
    ) -> Result<Option<String>, Error> {
        let Wish { image, platform, .. } = self.wish;
        let (engine, account) = (self.room.engine, server.account());
        let mut left = ENGINE_TIMES;
        loop {
            let pulling = engine.pull(repository, &identities.top, platform.as_ref(), Some(&account));
            let pulled = tokio::select! {
                failed = content.failure() => return Err(self.failed(failed)),
                pulled = pulling => pulled,
            };
            left -= 1;
            match pulled {
                Ok(()) => break,
                Err(_) if !server.was_asked() => return self.load(content, identities).await,
                Err(error) if left == 0 => return Err(error.into()),
                Err(_) => {}
            }
        }
        match engine.find_image(name).await? {
            Some(found) if identities.has(&found.id) => self.name(name, content, identities).await,
            Some(_) => Err(Error::Lost { image: Box::new(image.clone()), name: name.to_owned() }),
            None => Ok(None),
        }
    }

    /// Loads the image into an engine that cannot reach us.
    async fn load(&self, content: &Arc<Content>, identities: &Identities) -> Result<Option<String>, Error> {
        (self.tell)(Notice::Loads);
        let archive = archive::whole(content, &self.wish.image, identities);
        tokio::select! {
            failed = content.failure() => return Err(self.failed(failed)),
            loaded = self.room.engine.load_archive(archive) => loaded?,
        }
        for id in identities.all() {
            if self.room.engine.find_image(id).await?.is_some() {
                return self.name(id, content, identities).await;
            }
        }
        Ok(None)
    }

    /// Gives the image that the engine knows as `known` the name that was asked for, and leases it.
    async fn name(
        &self,
        known: &str,
        content: &Arc<Content>,
        identities: &Identities,
    ) -> Result<Option<String>, Error> {
        let (image, engine) = (&self.wish.image, self.room.engine);
        let repository = format!("{}/{}", image.registry(), image.repository());
        let is_named =
            engine.find_image(&image.to_string()).await?.is_some_and(|found| identities.has(&found.id));
        match image.target() {
            _ if is_named => {}
            Target::Tag(tag) => engine.tag(known, &repository, tag).await?,
            Target::Digest(_) if matches!(engine.info().await?.store, ImageStore::Containerd(_)) => {
                let top = content.manifest(&identities.top).await.map_err(|failed| self.failed(failed))?;
                engine.load_archive(archive::name(content, image, &top)).await?;
            }
            // It has all of it, and only asks the registry whether there is such a manifest.
            Target::Digest(digest) => {
                let account = password_for(image.host())?.map(|(user, password)| Account {
                    user,
                    password,
                    registry: image.host().into(),
                });
                let platform = self.wish.platform.as_ref();
                let pulled = engine.pull(&repository, digest, platform, account.as_ref()).await;
                pulled.map_err(|source| Error::Unnamed {
                    image: Box::new(image.clone()),
                    id: identities.config.clone(),
                    source: Box::new(source),
                })?;
            }
        }
        self.keep(&image.to_string(), |id| identities.has(id)).await
    }

    /// Leases the image that the engine has under this name, if it is the right one.
    async fn keep(&self, name: &str, is_right: impl Fn(&str) -> bool) -> Result<Option<String>, Error> {
        let Room { engine, store, term, .. } = self.room;
        let leases = store.leases()?;
        // From the look at the engine until the lease is there nobody deletes an image.
        let _quiet = Quiet::for_addition(&leases, Quiet::PATIENCE).await?;
        let found = engine.find_image(name).await?.filter(|found| is_right(&found.id));
        if let Some(found) = &found {
            store.last_uses()?.touch(&found.id)?;
        }
        if let (Some(found), Some(term)) = (&found, term) {
            leases.add(&Lease::new(store.identity(), name.into(), found.id.clone(), term.clone()))?;
        }
        Ok(found.map(|found| found.id))
    }

    fn failed(&self, failed: Failed) -> Error {
        Error::Failed { image: Box::new(self.wish.image.clone()), failed: Box::new(failed) }
    }

    fn too_late(&self) -> Error {
        Error::Deadline {
            image: Box::new(self.wish.image.clone()),
            deadline: self.policy.deadline,
            tried: self.sources.tried(),
        }
    }
}
