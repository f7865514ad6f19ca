//! Follows a build in the engine while buildx builds it, beside buildx's own progress, which nobody touches.

use std::collections::{BTreeMap, BTreeSet};
use std::future::ready;
use std::pin::Pin;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use futures_util::stream::SelectAll;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tonic::Streaming;

use super::steps::{Steps, Time};
use super::waits::{self, Wait};
use crate::buildkit::{BuildHistoryEvent, BuildHistoryRecord, Client, Error, Started, StatusResponse};

/// The build argument by which a build is known among all that run in an engine. No Dockerfile has to declare it, and it
/// changes nothing.
pub const MARK: &str = "CI_BUILD_RUN";

/// How often waits are looked for.
const OFTEN: Duration = Duration::from_secs(1);

/// A step is told of again after this.
const AGAIN: Duration = Duration::from_secs(60);

/// What is still on its way when the build has ended comes within this.
const LATE: Duration = Duration::from_secs(1);

/// A wait, and what is known of the build that makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// The wait.
    pub wait: Wait,
    /// The mark of the other build, where it is another and has one.
    pub other: Option<String>,
}

/// A build that is followed.
#[derive(Debug)]
pub struct Watch {
    end: oneshot::Sender<()>,
    thread: JoinHandle<Steps>,
}

impl Watch {
    /// Follows the build with this mark in the engine at an address. `tell` is called for each wait, at most once a minute
    /// for each step. An engine that cannot tell (BuildKit before 0.11) is not followed.
    pub fn start(address: String, mark: String, tell: impl FnMut(Told) + Send + 'static) -> Self {
        let (end, ended) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let mut follower = Follower::new(mark, tell);
            if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
                // What the engine does not tell is not known; the build needs none of it.
                let _ = runtime.block_on(follower.follow(&address, ended));
            }
            follower.ours.map(|(_, steps)| steps).unwrap_or_default()
        });
        Self { end, thread }
    }

    /// Ends with the build, and gives its steps.
    pub fn finish(self) -> Steps {
        let _ = self.end.send(());
        self.thread.join().unwrap_or_default()
    }
}

struct Follower<T> {
    mark: String,
    tell: T,
    /// Our build, once it has begun.
    ours: Option<(String, Steps)>,
    /// Other builds that run, by their reference, with their marks.
    others: BTreeMap<String, Option<String>>,
    /// What is known of their steps.
    steps: BTreeMap<String, Steps>,
    /// When a step was last told of.
    last: BTreeMap<String, Instant>,
}

impl<T: FnMut(Told)> Follower<T> {
    fn new(mark: String, tell: T) -> Self {
        let (others, steps, last) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        Self { mark, tell, ours: None, others, steps, last }
    }

    async fn follow(&mut self, address: &str, mut ended: oneshot::Receiver<()>) -> Result<(), Error> {
        let connecting = async {
            let client = Client::connect(address).await?;
            let builds = client.builds().await?;
            Ok::<_, Error>((client, builds))
        };
        let (client, mut builds) = tokio::select! {
            _ = &mut ended => return Ok(()),
            connected = connecting => connected?,
        };
        let mut status = None;
        let mut other = Others::default();
        let mut clock = interval(OFTEN);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = &mut ended => break,
                event = builds.message() => match event? {
                    Some(event) => {
                        self.event(event);
                        if let (None, Some((reference, _))) = (&status, &self.ours) {
                            status = Some(client.status(reference).await?);
                        }
                    }
                    None => break,
                },
                told = next(&mut status) => match (told?, &mut self.ours) {
                    (Some(told), Some((_, steps))) => steps.apply(told),
                    // All of it is told.
                    _ => return Ok(()),
                },
                (reference, told) = other.next() => {
                    self.steps.entry(reference).or_default().apply(told);
                }
                _ = clock.tick() => {
                    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
                    if self.ours.as_ref().is_some_and(|(_, steps)| waits::is_in_doubt(steps, now)) {
                        other.follow(&client, self.others.keys()).await;
                    }
                    self.look(now);
                }
            }
        }
        let (Some(_), Some((_, steps))) = (&status, &mut self.ours) else { return Ok(()) };
        // The end of the build's own story may still be on its way.
        let rest = async {
            while let Ok(Some(told)) = next(&mut status).await {
                steps.apply(told);
            }
        };
        let _ = timeout(LATE, rest).await;
        Ok(())
    }

    /// A build began or ended.
    fn event(&mut self, event: BuildHistoryEvent) {
        let kind = event.kind();
        let Some(BuildHistoryRecord { reference, mut options }) = event.record else { return };
        let mark = options.remove(&format!("build-arg:{MARK}"));
        match kind {
            Started::Started if mark.as_ref() == Some(&self.mark) => {
                self.ours.get_or_insert_with(|| (reference, Steps::default()));
            }
            Started::Started => {
                self.others.insert(reference, mark);
            }
            Started::Complete | Started::Deleted => {
                self.others.remove(&reference);
                self.steps.remove(&reference);
            }
        }
    }

    fn look(&mut self, now: Time) {
        let Some((_, ours)) = &self.ours else { return };
        let others: Vec<_> = self.steps.iter().collect();
        let builds: Vec<_> = std::iter::once(ours).chain(others.iter().map(|(_, steps)| *steps)).collect();
        for wait in waits::waits(&builds, now) {
            let is_new = self.last.get(&wait.step).is_none_or(|last| last.elapsed() >= AGAIN);
            if !is_new {
                continue;
            }
            self.last.insert(wait.step.clone(), Instant::now());
            let reference =
                wait.build.checked_sub(1).and_then(|other| others.get(other)).map(|(name, _)| *name);
            let other = reference.and_then(|reference| self.others.get(reference).cloned().flatten());
            (self.tell)(Told { wait, other });
        }
    }
}

/// What comes next; nothing where there is no stream.
async fn next(status: &mut Option<Streaming<StatusResponse>>) -> Result<Option<StatusResponse>, Error> {
    match status {
        Some(status) => Ok(status.message().await?),
        None => std::future::pending().await,
    }
}

/// What another build tells, with its reference.
type OtherStatus = Pin<Box<dyn Stream<Item = (String, StatusResponse)>>>;

/// Other builds that are followed.
#[derive(Default)]
struct Others {
    known: BTreeSet<String>,
    streams: SelectAll<OtherStatus>,
}

impl Others {
    /// Follows those that are not followed yet. One that has ended meanwhile is none.
    async fn follow(&mut self, client: &Client, references: impl Iterator<Item = &String>) {
        for reference in references {
            if self.known.insert(reference.clone())
                && let Ok(stream) = client.status(reference).await
            {
                let reference = reference.clone();
                let told =
                    stream.filter_map(move |told| ready(told.ok().map(|told| (reference.clone(), told))));
                self.streams.push(told.boxed_local());
            }
        }
    }

    /// What any of them tells next.
    async fn next(&mut self) -> (String, StatusResponse) {
        match self.streams.next().await {
            Some(told) => told,
            None => std::future::pending().await,
        }
    }
}
