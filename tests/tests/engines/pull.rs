//! Pulling from mirrors and registries that fail, into real engines.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use ci_build_test_registry::{Fault, Image, On, Registry};
use ci_build_tests::Subject;
use tempfile::TempDir;
use xtask::command;
use xtask::engines::Kind;

/// Limits that are scaled down, so that a fault takes a second and not a minute.
const LIMITS: [&str; 12] = [
    "--first-byte",
    "400ms",
    "--floor",
    "100KiB",
    "--window",
    "600ms",
    "--stall",
    "1s",
    "--retries",
    "1",
    "--backoff",
    "50ms",
];

/// Every pull ends within this time, with a fault or without.
const DEADLINE: &str = "6s";
const ENDS: Duration = Duration::from_secs(9);

/// A registry, a mirror of it, and the state of one host.
struct Room<'a> {
    subject: &'a Subject,
    origin: Registry,
    mirror: Registry,
    state: TempDir,
}

/// How a pull ended.
struct Ended {
    succeeded: bool,
    stdout: String,
    said: String,
    took: Duration,
}

impl<'a> Room<'a> {
    fn new(subject: &'a Subject) -> Result<Self> {
        let state = tempfile::tempdir().context("cannot create a directory")?;
        Ok(Self { subject, origin: Registry::start()?, mirror: Registry::start()?, state })
    }

    /// Both have the image under this tag.
    fn put(&self, tag: &str, image: &Image) {
        self.origin.put("team/app", tag, image);
        self.mirror.put("team/app", tag, image);
    }

    /// The image's name.
    fn name(&self, tag: &str) -> String {
        format!("{}/team/app{tag}", self.origin.address())
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.subject.client.set_up(Command::new(&self.subject.command));
        let mirror = format!("{}=http://{}", self.origin.address(), self.mirror.address());
        command.env("CI_BUILD_STATE_DIR", self.state.path().join("state")).env("CI_BUILD_MIRROR", mirror);
        command.arg("pull").args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    fn pull(&self, arguments: &[&str]) -> Result<Ended> {
        let started = Instant::now();
        let arguments = [&LIMITS, arguments].concat();
        end(self.command(&arguments).spawn().context("cannot start ci-build")?, started)
    }

    /// What docker tells of an image; nothing where there is none.
    fn inspect(&self, name: &str, format: &str) -> Result<Option<String>> {
        let mut inspect = self.subject.client.docker();
        inspect.args(["image", "inspect", "--format", format, name]).stderr(Stdio::piped());
        let output = inspect.output().context("cannot run docker")?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned()))
    }

    fn remove(&self, name: &str) -> Result<()> {
        command::run(self.subject.client.docker().args(["image", "rm", name]).stdout(Stdio::null()))
    }

    /// Whether the engine has this very image under this name, and nothing under a name of ours.
    fn has(&self, name: &str, image: &Image) -> Result<()> {
        let id = self.inspect(name, "{{.Id}}")?.with_context(|| format!("there is no '{name}'"))?;
        let config = image.config_digest();
        ensure!([image.digest(), config].contains(&id), "'{name}' is {id}");
        let all = command::output(self.subject.client.docker().args(["images", "--digests"]))?;
        let known = [self.origin.address(), self.mirror.address()].map(|address| address.to_string());
        let ours = all.lines().filter(|line| line.starts_with("127.0.0.1:"));
        let ours: Vec<_> = ours.filter(|line| !known.iter().any(|known| line.starts_with(known))).collect();
        ensure!(ours.is_empty(), "left behind: {ours:?}");
        Ok(())
    }
}

fn end(child: Child, started: Instant) -> Result<Ended> {
    let output = child.wait_with_output().context("cannot wait for ci-build")?;
    Ok(Ended {
        succeeded: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
        took: started.elapsed(),
    })
}

fn blob_requests(registry: &Registry) -> usize {
    registry.requests().iter().filter(|request| request.path.contains("/blobs/")).count()
}

/// From the mirror alone, under the name that was asked for, leased; and once more it is there.
pub(crate) fn from_the_mirror(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let image = Image::new(100, 3, 300_000);
    room.put("1", &image);
    let name = room.name(":1");
    let ended = room.pull(&[&name])?;
    ensure!(ended.succeeded, "{}", ended.said);
    ensure!(ended.said.contains(&format!("from {}", room.mirror.address())), "{}", ended.said);
    ensure!(room.origin.requests().is_empty(), "the origin was asked");
    room.has(&name, &image)?;
    let mut leases = subject.client.set_up(Command::new(&subject.command));
    leases.env("CI_BUILD_STATE_DIR", room.state.path().join("state")).args(["lease", "list"]);
    let leases = command::output(&mut leases)?;
    ensure!(leases.contains(&name), "{leases}");
    let again = room.pull(&[&name])?;
    ensure!(again.said.contains("the engine has it"), "{}", again.said);
    room.remove(&name)
}

/// A name with a digest is known to the engine afterwards, and costs no blob of the origin's.
pub(crate) fn by_digest(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let image = Image::new(101, 2, 100_000);
    room.put("1", &image);
    let name = room.name(&format!("@{}", image.digest()));
    let ended = room.pull(&[&name])?;
    ensure!(ended.succeeded, "{}", ended.said);
    ensure!(blob_requests(&room.origin) == 0, "the origin served blobs");
    room.has(&name, &image)?;
    room.remove(&name)
}

/// Of an index the engine gets its own platform, and says so by the index's digest where containerd keeps images.
pub(crate) fn of_an_index(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let (ours, foreign) = (Image::new(102, 1, 50_000), Image::new(103, 1, 50_000));
    let index = Image::index(&[(&foreign, "riscv64"), (&ours, "amd64")]);
    for image in [&ours, &foreign] {
        room.mirror.put("team/app", "", image);
        room.origin.put("team/app", "", image);
    }
    let digest = room.mirror.put_index("team/app", "1", &index);
    room.origin.put_index("team/app", "1", &index);
    for name in [room.name(":1"), room.name(&format!("@{digest}"))] {
        let ended = room.pull(&[&name])?;
        ensure!(ended.succeeded, "{}", ended.said);
        let id = room.inspect(&name, "{{.Id}}")?.context("there is no image")?;
        ensure!([ours.config_digest(), digest.clone()].contains(&id), "{id}");
        room.remove(&name)?;
    }
    let layer = &foreign.layer_digests()[0];
    ensure!(
        !room.mirror.requests().iter().any(|request| request.path.ends_with(layer)),
        "it got a foreign layer"
    );
    Ok(())
}

/// The fault matrix: every cell ends in time, with the right image or an error that names who was asked. The engines share
/// the cells, since an engine has little to do with most of them; what it may see itself is for all.
pub(crate) fn faults(subject: &Subject) -> Result<()> {
    let status = [404, 401, 403, 500, 503].map(Fault::Status);
    let all = status.into_iter().chain([Fault::RetryAfter(429, 1)]).chain(Fault::OF_TRANSPORT);
    let cells = all.flat_map(|fault| {
        let of = move |on| [true, false].map(|at_mirror| (fault, on, at_mirror));
        [On::Manifest, On::Blob].into_iter().flat_map(of)
    });
    for (number, (fault, on, at_mirror)) in cells.enumerate() {
        // Turned, so that no engine has the manifests alone: there are four cells to a fault.
        if subject.takes(number + number / 4) || matches!((fault, on), (Fault::Wrong, On::Blob)) {
            cell(subject, 1000 + number as u64, on, fault, at_mirror)
                .with_context(|| format!("{fault:?} on {on:?}, mirror {at_mirror}"))?;
        }
    }
    Ok(())
}

fn cell(subject: &Subject, seed: u64, on: On, fault: Fault, at_mirror: bool) -> Result<()> {
    let room = Room::new(subject)?;
    let image = Image::new(seed, 2, 60_000);
    // Where the origin fails, the mirror has nothing: else nobody would ask it.
    room.origin.put("team/app", "1", &image);
    if at_mirror {
        room.mirror.put("team/app", "1", &image);
    }
    let failing = if at_mirror { &room.mirror } else { &room.origin };
    failing.fault(on, fault);
    let name = room.name(":1");
    let ended = room.pull(&["--deadline", DEADLINE, &name])?;
    ensure!(ended.took < ENDS, "it took {:?}", ended.took);
    // A manifest is so short that even a drip brings it.
    let is_mild = on == On::Manifest && matches!(fault, Fault::Drip(_));
    if at_mirror || is_mild {
        ensure!(ended.succeeded, "{}", ended.said);
        room.has(&name, &image)?;
        return room.remove(&name);
    }
    ensure!(!ended.succeeded, "it should have failed");
    let error = ended.said.lines().find(|line| line.starts_with("error: ")).context("no error was told")?;
    for who in [&room.origin, &room.mirror] {
        ensure!(error.contains(&who.address().to_string()), "{error}");
    }
    ensure!(room.inspect(&name, "{{.Id}}")?.is_none(), "the engine has it all the same");
    // And nothing stays behind that is in the way of the next pull.
    room.origin.heal();
    let again = room.pull(&[&name])?;
    ensure!(again.succeeded, "after the fault: {}", again.said);
    room.has(&name, &image)?;
    room.remove(&name)
}

/// Sixteen jobs want one image at once.
pub(crate) fn sixteen_jobs(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let image = Image::new(104, 4, 500_000);
    room.put("1", &image);
    let name = room.name(":1");
    let started = Instant::now();
    // With the usual limits: sixteen processes on two cores are slow themselves.
    let jobs: Vec<Child> = (0..16)
        .map(|_| room.command(&[&name]).spawn())
        .collect::<std::io::Result<_>>()
        .context("cannot start")?;
    for job in jobs {
        let ended = end(job, started)?;
        ensure!(ended.succeeded, "{}", ended.said);
    }
    room.has(&name, &image)?;
    let digests = image.layer_digests().into_iter().chain([image.config_digest()]);
    for digest in digests {
        let served = room.mirror.requests().iter().filter(|request| request.path.ends_with(&digest)).count();
        ensure!(served == 1, "{digest} was served {served} times");
    }
    room.remove(&name)
}

/// The newest of the last days, whoever has it, and its name alone on stdout.
pub(crate) fn latest(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let mut date = Command::new("date");
    let day = |ago: u32| format!("{ago} days ago");
    let output = date.args(["--utc", "--date", &day(2), "+%Y%m%d"]).output().context("cannot run date")?;
    let date = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    let image = Image::new(105, 1, 1000);
    room.origin.put("team/app", &format!("nightly-{date}"), &image);
    let ended = room.pull(&["--latest", &room.name(":nightly-{date:%Y%m%d}")])?;
    ensure!(ended.succeeded, "{}", ended.said);
    let name = room.name(&format!(":nightly-{date}"));
    ensure!(ended.stdout == format!("{name}\n"), "{:?}", ended.stdout);
    room.has(&name, &image)?;
    let none = room.pull(&["--latest", &room.name(":weekly-{date:%Y%m%d}"), "--days", "2"])?;
    if none.succeeded || !none.stdout.is_empty() {
        bail!("it found {:?}", none.stdout);
    }
    room.remove(&name)
}

/// The control of the fault `Wrong`: what the engine's own pull does when wrong content reaches it. Where containerd keeps
/// images it goes on with that content for ever, which is why we check blobs before.
pub(crate) fn dockers_own(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    room.origin.put("team/app", "1", &Image::new(106, 1, 60_000));
    let name = room.name(":1");
    let pull = || command::succeeds(subject.client.docker().args(["pull", "--quiet", &name]));
    room.origin.fault(On::Blob, Fault::Wrong);
    ensure!(!pull()?, "the engine took wrong content");
    room.origin.heal();
    let recovers = subject.engine.kind() != Kind::Docker28_5Containerd;
    ensure!(pull()? == recovers, "after the fault it succeeds: {}", !recovers);
    if recovers { room.remove(&name) } else { Ok(()) }
}
