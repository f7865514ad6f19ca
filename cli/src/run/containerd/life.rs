//! From the lease to the end: what is made in which order, and how it goes on every way out.

use std::cell::Cell;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use super::image::{Unmade, Unpacking};
use super::names::Names;
use super::remove::{Remains, shims};
use super::spec::{Host, Process, spec};
use super::stdio::Attached;
use super::user::{User, resolve};
use super::{Asked, Error, Outcome, rootfs};
use crate::engine::containerd::{Collection, Container, Containerd, Labels, Mount, Task};
use crate::error::with_cause;
use crate::failpoint;
use crate::journal::{Created, Entry, Intended, Owner, Removing};
use crate::process::{Request, Requests, Stopped, cgroup};
use crate::store;

/// containerd is waited for so long, where it is being started anew: what runs goes on without it.
const RESTART: Duration = Duration::from_secs(30);

/// Between two questions to a containerd that is not there.
const PAUSE: Duration = Duration::from_millis(100);

/// What a container ends with whose end nobody saw.
const UNSEEN: u8 = 137;

/// One run.
struct Life<'a> {
    /// With the run's lease in each question.
    engine: Containerd,
    /// Without it.
    plain: &'a Containerd,
    names: Names,
    /// The container's id.
    id: String,
    asked: &'a Asked,
    labels: Labels,
    /// A directory of ours alone.
    scratch: &'a Path,
}

/// Runs a container to its end, and removes it and all that was made for it.
///
/// # Errors
/// When the record of it cannot be removed, or signals cannot be listened to.
pub(crate) async fn run(
    engine: &Containerd,
    asked: &Asked,
    owner: &Owner,
    scratch: &Path,
    entry: Entry<'_, Intended>,
) -> Result<Outcome, crate::error::Failure> {
    let names = Names::of(entry.name());
    let labels = names.labels(owner);
    let id = asked.name.clone().unwrap_or_else(|| names.id());
    let life = Life { engine: engine.leasing(&names.id()), plain: engine, names, id, asked, labels, scratch };
    let mut requests = match Requests::new(asked.limits) {
        Ok(requests) => requests,
        Err(error) => {
            entry.never_made()?;
            return Err(Error::system("listen to signals")(error).into());
        }
    };
    let leased = engine.create_lease(&life.names.id(), life.labels.clone()).await;
    failpoint::reach("containerd.leased");
    let (code, entry) = match leased {
        // It may be there all the same, so it is removed as if it were.
        Err(error) => (Err(Unmade::Failed(error.into())), entry.created(life.id.clone()).removing()),
        Ok(()) => life.made(entry.created(life.id.clone()), &mut requests).await,
    };
    failpoint::reach("run.ended");
    let left = life.remove(entry).await?;
    if code.is_err() && left.is_none() {
        // A container that did not come to be may have a shim that nobody knows of.
        shims(engine, [(&life.names, life.id.as_str())]).end();
    }
    let stopped = requests.stopped();
    let code = match code {
        Ok(code) => Ok(code),
        Err(Unmade::Failed(error)) => Err(error),
        Err(Unmade::Over) => Ok(code_of(stopped)),
    };
    Ok(Outcome { code, stopped, left })
}

/// What shells say of a command that was ended before it began.
fn code_of(stopped: Option<Stopped>) -> u8 {
    const TERM: i32 = 15;
    let signal = if let Some(Stopped::Signal(signal)) = stopped { signal } else { TERM };
    u8::try_from(128 + signal).unwrap_or(UNSEEN)
}

impl Life<'_> {
    /// From the lease on: makes all else, and runs it.
    async fn made<'a>(
        &self,
        entry: Entry<'a, Created>,
        requests: &mut Requests,
    ) -> (Result<u8, Unmade>, Entry<'a, Removing>) {
        let mut attached = match self.prepared(requests).await {
            Ok(attached) => attached,
            Err(unmade) => return (Err(unmade), entry.removing()),
        };
        if let Err(error) = self.start().await {
            return (Err(Unmade::Failed(error)), entry.removing());
        }
        failpoint::reach("run.started");
        let entry = entry.running();
        let code = self.watched(&mut attached, requests).await;
        (code.map_err(Unmade::Failed), entry.removing())
    }

    /// Makes what the container needs. Whoever wants it no more is heard between two steps, and within one when the time to
    /// end is over.
    async fn prepared(&self, requests: &mut Requests) -> Result<Attached, Unmade> {
        let is_over = Cell::new(false);
        let mut making = pin!(self.make(&is_over));
        loop {
            tokio::select! {
                made = &mut making => return made,
                request = requests.next() => match request {
                    Request::Signal(rustix::process::Signal::KILL) => return Err(Unmade::Over),
                    _ => is_over.set(requests.stopped().is_some()),
                },
            }
        }
    }

    async fn make(&self, is_over: &Cell<bool>) -> Result<Attached, Unmade> {
        let go_on = || if is_over.get() { Err(Unmade::Over) } else { Ok(()) };
        let Self { engine, names, asked, labels, .. } = self;
        let image = Unpacking { engine, names, asked, labels, is_over }.image().await?;
        go_on()?;
        let words = image.config.words(asked.options.entrypoint.as_deref(), &asked.words);
        if words.is_empty() {
            return Err(Error::NoCommand(image.name).into());
        }
        let (snapshotter, key) = (asked.snapshotter.as_str(), names.id());
        let mounts = engine.prepare_snapshot(snapshotter, &key, &image.top, labels.clone()).await?;
        failpoint::reach("containerd.prepared");
        let defaults = image.config.config;
        let process = Process {
            words,
            env: defaults.env.unwrap_or_default(),
            workdir: defaults.working_dir,
            user: self.user(defaults.user.as_deref(), &mounts)?,
            name: self.id.clone(),
            cgroup: names.cgroup(),
        };
        let container = Container {
            id: self.id.clone(),
            labels: asked.labels.clone().into_iter().chain(labels.clone()).collect(),
            image: image.name,
            snapshotter: snapshotter.into(),
            snapshot: key,
        };
        go_on()?;
        match engine.create_container(&container, &spec(&asked.options, &process, &Host::this())).await {
            Err(error) if error.is_already_there() => return Err(Error::Taken(container.id).into()),
            created => created?,
        }
        failpoint::reach("containerd.contained");
        let mut attached = Attached::new(self.scratch, asked.is_interactive, asked.options.tty)?;
        failpoint::reach("containerd.piped");
        go_on()?;
        engine.create_task(&self.id, mounts, &attached.stdio).await.map_err(starting)?;
        attached.release();
        failpoint::reach("containerd.tasked");
        if let Some((width, height)) = attached.size() {
            // A terminal of another size is better than none.
            let _ = engine.resize(&self.id, width, height).await;
        }
        go_on()?;
        Ok(attached)
    }

    /// Who it runs as. Files of the image are looked at only for what numbers do not say.
    fn user(&self, of_image: Option<&str>, mounts: &[Mount]) -> Result<User, Error> {
        let asked = self.asked.options.user.as_deref().or(of_image).unwrap_or_default();
        let unknown = |why: String| Error::User { user: asked.into(), why };
        let read = |name| rootfs::etc(mounts, name);
        match (read("passwd"), read("group")) {
            (Ok(passwd), Ok(group)) => resolve(asked, &passwd, &group).map_err(unknown),
            // Layers that cannot be seen from here say nothing of numbers.
            (Err(error), _) | (_, Err(error)) => {
                resolve(asked, "", "").map_err(|_| unknown(with_cause(&error)))
            }
        }
    }

    /// Starts the program. A containerd that goes while it is asked may have started it all the same.
    async fn start(&self) -> Result<(), Error> {
        let error = match self.engine.start_task(&self.id).await {
            Ok(()) => return Ok(()),
            Err(error) => starting(error),
        };
        if let Error::Start(_) = error {
            return Err(error);
        }
        match self.found().await {
            Ok(Some(Task::Alive | Task::Ended(_))) => Ok(()),
            _ => Err(error),
        }
    }

    /// Waits for the end of the container, and passes on what comes.
    async fn watched(&self, attached: &mut Attached, requests: &mut Requests) -> Result<u8, Error> {
        let mut end = pin!(self.end());
        let unread = attached.unread();
        let code = loop {
            tokio::select! {
                ended = &mut end => break ended?,
                request = requests.next() => self.pass_on(request, attached).await,
                () = unread.notified() => if let Some(request) = requests.unread() {
                    self.pass_on(request, attached).await;
                },
                () = attached.input_ended() => {
                    // It may have ended meanwhile.
                    let _ = self.engine.close_input(&self.id).await;
                }
            }
        };
        // Nobody is held up for long by who does not read what the container wrote.
        loop {
            tokio::select! {
                () = attached.drained() => break,
                request = requests.next() => if let Request::Signal(_) = request { break },
            }
        }
        Ok(code)
    }

    async fn pass_on(&self, request: Request, attached: &Attached) {
        match request {
            Request::Resized => {
                if let Some((width, height)) = attached.size() {
                    let _ = self.engine.resize(&self.id, width, height).await;
                }
            }
            Request::Signal(signal) => {
                failpoint::reach("run.stopping");
                let sent = self.engine.kill_task(&self.id, signal.as_raw().unsigned_abs()).await;
                if sent.is_err() && signal == rustix::process::Signal::KILL {
                    // Without containerd the kernel does it; whether it did is seen by whoever waits.
                    let _ = cgroup::end(&self.names.cgroup(), RESTART).await;
                }
                failpoint::reach("run.stopped");
            }
        }
    }

    /// The container's exit code, when it has ended. A containerd that is started anew is waited for.
    async fn end(&self) -> Result<u8, Error> {
        let mut refused = Instant::now();
        loop {
            let asked = Instant::now();
            if let Ok(code) = self.engine.wait_task(&self.id).await {
                return Ok(low_byte(code));
            }
            if asked.elapsed() > PAUSE {
                // It waited until now.
                refused = Instant::now();
            }
            match self.found().await? {
                Some(Task::Ended(code)) => return Ok(low_byte(code)),
                Some(_) if refused.elapsed() < RESTART => tokio::time::sleep(PAUSE).await,
                Some(_) => return Ok(UNSEEN),
                None => {
                    anstream::eprintln!(
                        "warning: what watched the container has ended, and nobody saw the container's own end"
                    );
                    return Ok(UNSEEN);
                }
            }
        }
    }

    /// What containerd says of the task, as soon as it answers. How long it may take counts from now: that a question failed slowly
    /// is no sign of life, on a busy machine.
    async fn found(&self) -> Result<Option<Task>, Error> {
        let since = Instant::now();
        loop {
            match self.engine.task(&self.id).await {
                Ok(found) => return Ok(found),
                Err(error) if since.elapsed() >= RESTART => return Err(error.into()),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    }

    /// Removes all of it, and tells why something is left, where something is.
    async fn remove(&self, entry: Entry<'_, Removing>) -> Result<Option<String>, store::Error> {
        failpoint::reach("run.removing");
        let remains = Remains { engine: self.plain, names: &self.names, container: &self.id };
        let removed = async {
            remains.clear(false).await?;
            remains.release(Collection::Now).await
        };
        let removed = removed.await;
        failpoint::reach("run.removed");
        match removed {
            Ok(()) => {
                entry.gone()?;
                failpoint::reach("run.forgotten");
                Ok(None)
            }
            Err(error) => {
                let reason = with_cause(&error);
                entry.failed(reason.clone());
                Ok(Some(reason))
            }
        }
    }
}

/// As shells have it.
fn low_byte(code: u32) -> u8 {
    code.to_le_bytes()[0]
}

/// What the runtime says of a program that does not start comes in containerd's words.
fn starting(error: crate::engine::containerd::Error) -> Error {
    match error.message() {
        Some(message) if message.contains("OCI runtime") || message.contains("runc") => {
            Error::Start(message.into())
        }
        _ => error.into(),
    }
}
