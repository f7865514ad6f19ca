//! `ci-build prune` on real engines. Each test prunes only images that it made.

pub(crate) mod switches;
pub(crate) mod watch;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use ci_build_tests::Subject;
use ci_build_tests::proxy::{Fate, Proxy};
use serde_json::Value;
use tempfile::TempDir;
use xtask::engines::{self, Options};
use xtask::{command, images, poll};

const PATIENCE: Duration = Duration::from_secs(30);

/// A state directory of its own, and commands that use it.
struct Host<'a> {
    subject: &'a Subject,
    state: TempDir,
}

impl<'a> Host<'a> {
    fn new(subject: &'a Subject) -> Result<Self> {
        Ok(Self { subject, state: tempfile::tempdir().context("cannot create a directory")? })
    }

    fn ci_build(&self, arguments: &[&str]) -> Command {
        let mut command = self.subject.client.set_up(Command::new(&self.subject.command));
        command.env("CI_BUILD_STATE_DIR", self.state.path()).args(arguments);
        command
    }

    fn docker(&self, arguments: &[&str]) -> Result<String> {
        Ok(command::output(self.subject.client.docker().args(arguments))?.trim().to_owned())
    }

    /// Makes an image whose content is its name, and gives its id.
    fn image(&self, name: &str) -> Result<String> {
        let directory = tempfile::tempdir().context("cannot create a directory")?;
        // Copied, so that no container has to run for it.
        for (file, text) in
            [("Dockerfile", format!("FROM {}\nCOPY name /name\n", images::BUSYBOX)), ("name", name.into())]
        {
            fs::write(directory.path().join(file), text).context("cannot write a file")?;
        }
        let mut build = self.subject.client.buildx();
        command::run(build.args(["build", "--quiet", "--tag", name]).arg(directory.path()))?;
        self.docker(&["image", "inspect", "--format", "{{.Id}}", name])
    }

    fn has(&self, image: &str) -> Result<bool> {
        command::succeeds(self.subject.client.docker().args(["image", "inspect", image]))
    }

    /// The report of a prune of this repository, and its exit code.
    fn prune(&self, repository: &str, arguments: &[&str]) -> Result<(Value, Option<i32>)> {
        self.prune_at(self.subject.client.host(), repository, arguments)
    }

    /// As [`Host::prune`], through this address.
    fn prune_at(&self, address: &str, repository: &str, arguments: &[&str]) -> Result<(Value, Option<i32>)> {
        let mut prune = self.ci_build(&["prune", "--format", "json", "--repository", repository]);
        prune.env("DOCKER_HOST", address).args(arguments);
        let output = prune.output().context("cannot prune")?;
        let report = serde_json::from_slice(&output.stdout);
        let said = || String::from_utf8_lossy(&output.stderr).into_owned();
        Ok((report.with_context(said)?, output.status.code()))
    }

    /// Uses an image, in a container that is gone on return, and gives the moment before.
    fn use_image(&self, name: &str) -> Result<SystemTime> {
        let before = SystemTime::now();
        self.docker(&["run", "--rm", "--network=none", name, "true"])?;
        Ok(before)
    }

    /// When the image of this id was used last by what is written down; none where nothing is. A prune knows more: it asks the
    /// engine, which keeps its last events by itself.
    fn recorded(&self, id: &str) -> Result<Option<SystemTime>> {
        let record = self.store()?.join("last-use").join(id.replacen(':', ".", 1));
        match fs::metadata(record) {
            Ok(metadata) => Ok(Some(metadata.modified().context("a file has a time")?)),
            Err(_) => Ok(None),
        }
    }

    /// Waits until it is written down that the image of this id was used after this moment.
    fn is_recorded(&self, id: &str, after: SystemTime) -> Result<()> {
        let is_there = || Ok((self.recorded(id)? > Some(after)).then_some(()));
        poll::until(PATIENCE, is_there)?.context("the watch did not see the use")
    }

    /// The state of the one engine.
    fn store(&self) -> Result<PathBuf> {
        let mut stores = fs::read_dir(self.state.path().join("stores")).context("there is no state")?;
        Ok(stores.next().context("there is no store")?.context("cannot list stores")?.path())
    }
}

/// The names of the things that came out like this, in their order.
fn names<'a>(report: &'a Value, action: &str) -> Vec<&'a str> {
    let things = report["things"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_action = things.iter().filter(|thing| thing["action"] == action);
    of_action.filter_map(|thing| thing["name"].as_str()).collect()
}

const FULL: [&str; 8] = ["--disk-high", "0", "--disk-low", "0", "--grace", "0", "--older-than", "24h"];
const ALL: [&str; 8] = ["--disk-high", "100", "--disk-low", "100", "--grace", "0", "--older-than", "0"];

/// Uses in the reverse order of creation; the watch knows of them, also of those in a container that is gone.
pub(crate) fn least_recently_used_first(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let ids: Vec<_> =
        ["lru:a", "lru:b", "lru:c"].into_iter().map(|name| host.image(name)).collect::<Result<_>>()?;
    let created = |name| host.docker(&["image", "inspect", "--format", "{{.Created}}", name]);
    ensure!(
        created("lru:a")? <= created("lru:b")? && created("lru:b")? <= created("lru:c")?,
        "made in this order"
    );
    let watch = host.watch()?;
    for (name, id) in ["lru:a", "lru:b", "lru:c"].into_iter().zip(&ids).rev() {
        let before = host.use_image(name)?;
        host.is_recorded(id, before).context(name)?;
    }
    let (report, code) = host.prune("lru", &FULL)?;
    ensure!(names(&report, "deleted") == ["lru:c", "lru:b", "lru:a"] && code == Some(0), "{report:#}");
    // The watch has not run for --older-than.
    ensure!(report["ages"] == "creation", "{report:#}");
    drop(watch);
    let last = fs::read(host.store()?.join("last-prune.json")).context("there is no record of the prune")?;
    let last: Value = serde_json::from_slice(&last).context("the record is broken")?;
    ensure!(last["removed"] == 3 && last["failed"] == 0 && last["freed_bytes"].is_u64(), "{last:#}");
    Ok(())
}

/// What somebody needs stays, for the reason that the report tells; the rest goes, with all of its names.
pub(crate) fn spares_what_is_needed(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    for tag in ["leased", "ahead", "created", "ended", "kept", "free", "shared", "renewed"] {
        host.image(&format!("spare:{tag}"))?;
    }
    let lease = |arguments: &[&str]| {
        command::run(&mut host.ci_build(&[&["lease", "add", "--ttl", "1h"], arguments].concat()))
    };
    lease(&["spare:leased"])?;
    // A lease of a name is for whatever image has the name by then.
    host.docker(&["rmi", "spare:ahead"])?;
    ensure!(lease(&["spare:ahead"]).is_err(), "there is no such image");
    lease(&["--ahead", "spare:ahead"])?;
    host.image("spare:ahead")?;
    lease(&["spare:renewed"])?;
    host.docker(&["tag", "spare:free", "spare:renewed"])?;
    host.docker(&["create", "--name", "spare-created", "spare:created"])?;
    host.docker(&["run", "--name", "spare-ended", "--network=none", "spare:ended", "true"])?;
    host.docker(&["tag", "spare:shared", "other/spare:1"])?;

    let arguments = [&ALL[..], &["--keep", "spare:kept"]].concat();
    let (dry, code) = host.prune("spare", &[&arguments[..], &["--dry-run"]].concat())?;
    ensure!(code == Some(0) && names(&dry, "goes").is_empty() && host.has("spare:shared")?, "{dry:#}");
    let why = |report: &Value, name: &str| {
        let things = report["things"].as_array().map(Vec::as_slice).unwrap_or_default();
        let thing = things.iter().find(|thing| thing["name"].as_str().is_some_and(|of| of.contains(name)));
        thing.map(|thing| thing["cause"].as_str().unwrap_or_default().to_owned())
    };
    for (name, cause) in [
        ("spare:leased", "leased"),
        ("spare:ahead", "leased"),
        ("spare:renewed", "leased"),
        ("spare:created", "container"),
        ("spare:ended", "container"),
        ("spare:kept", "kept"),
        ("other/spare:1", "outside"),
    ] {
        ensure!(why(&dry, name).as_deref() == Some(cause), "{name}: {dry:#}");
    }

    // By the id, to which the lease was given, and the name, which another image has now.
    host.docker(&["tag", "spare:shared", "spare:again"])?;
    command::run(&mut host.ci_build(&["lease", "remove", "spare:leased", "spare:ahead", "spare:renewed"]))?;
    host.docker(&["rm", "spare-created", "spare-ended"])?;
    let both = [&arguments[..], &["--repository", "other/*"]].concat();
    let (report, code) = host.prune("spare", &both)?;
    ensure!(code == Some(0) && report["failed"] == 0, "{report:#}");
    let stay: Vec<_> = names(&report, "stays").into_iter().filter(|name| name.contains("spare")).collect();
    ensure!(stay == ["spare:kept"], "{report:#}");
    for tag in ["leased", "ahead", "created", "ended", "free", "shared", "again", "renewed"] {
        ensure!(!host.has(&format!("spare:{tag}"))?, "spare:{tag} is there: {report:#}");
    }
    ensure!(!host.has("other/spare:1")? && host.has("spare:kept")?, "{report:#}");
    host.docker(&["rmi", "spare:kept"]).map(drop)
}

/// What the engine refuses is told, the rest goes on, and the exit code says so.
pub(crate) fn goes_on_after_a_refusal(subject: &Subject) -> Result<()> {
    const WORDS: &str = "conflict: unable to delete (cannot be forced)";
    let host = Host::new(subject)?;
    let ids = ["refused:a", "refused:b", "refused:c"].map(|name| host.image(name));
    let [_, id, _] = ids;
    let id = id?;
    let proxy = Proxy::new(&subject.engine.socket(), move |_, request| {
        let is_it = request.starts_with("DELETE") && request.contains(&id);
        if is_it { Fate::Refused(409, WORDS.into()) } else { Fate::Passes }
    })?;
    let (report, code) = host.prune_at(&proxy.address(), "refused", &ALL)?;
    ensure!(code == Some(1), "{code:?}: {report:#}");
    ensure!(names(&report, "deleted") == ["refused:a", "refused:c"] && report["failed"] == 1, "{report:#}");
    ensure!(names(&report, "failed") == ["refused:b"], "{report:#}");
    let told =
        report["things"].as_array().is_some_and(|things| things.iter().any(|thing| thing["why"] == WORDS));
    ensure!(told && host.has("refused:b")?, "{report:#}");
    host.docker(&["rmi", "refused:b"]).map(drop)
}

/// A container that somebody makes just as the engine is told to delete its image keeps it, and no prune has failed.
pub(crate) fn containers_that_come_late(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    for (tag, made) in [
        ("created", &["create"][..]),
        ("running", &["run", "--detach", "--network=none"]),
        ("exited", &["run", "--network=none"]),
    ] {
        let name = format!("late:{tag}");
        let id = host.image(&name)?;
        let mut docker = subject.client.docker();
        docker.args(made).args(["--name", "late", &name]);
        docker.args(if tag == "running" { ["sleep", "1000"] } else { ["echo", "late"] });
        let docker = Mutex::new(Some(docker));
        let proxy = Proxy::new(&subject.engine.socket(), move |_, request| {
            if request.starts_with("DELETE") && request.contains(&id) {
                let mut docker = docker.lock().unwrap_or_else(PoisonError::into_inner);
                // One that is not made is missed below.
                let _ = docker.take().map(|mut docker| docker.output());
            }
            Fate::Passes
        })?;
        let (report, code) = host.prune_at(&proxy.address(), "late", &ALL)?;
        let state = host.docker(&["inspect", "--format", "{{.State.Status}}", "late"])?;
        ensure!(state == tag, "the container is {state}: {report:#}");
        ensure!(code == Some(0) && host.has(&name)?, "{report:#}");
        let things = report["things"].as_array().context("the report has no things")?;
        let thing = things.iter().find(|thing| thing["name"] == name).context("the image is not told of")?;
        ensure!(thing["action"] == "stays" && thing["cause"] == "container", "{report:#}");
        host.docker(&["rm", "--force", "late"])?;
        host.docker(&["rmi", &name])?;
    }
    Ok(())
}

/// A parent stays with a child that stays, and goes after one that goes.
pub(crate) fn parents_stay_with_their_children(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    host.image("family:parent")?;
    host.docker(&["run", "--name", "family", "--network=none", "family:parent", "true"])?;
    host.docker(&["commit", "family", "family:child"])?;
    host.docker(&["rm", "family"])?;
    let (report, code) = host.prune("family", &[&ALL[..], &["--keep", "family:child"]].concat())?;
    ensure!(code == Some(0), "{report:#}");
    ensure!(host.has("family:parent")? && host.has("family:child")?, "{report:#}");
    let (report, code) = host.prune("family", &ALL)?;
    ensure!(code == Some(0) && report["failed"] == 0, "{report:#}");
    ensure!(!host.has("family:parent")? && !host.has("family:child")?, "{report:#}");
    Ok(())
}

/// A run that meets another skips and says so.
pub(crate) fn prunes_do_not_queue(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    ensure!(host.prune("nothing", &ALL)?.0["skipped"] == false, "it skipped for nobody");
    let lock = host.store()?.join("prune");
    let mut held = host.subject.client.set_up(Command::new("flock"));
    held.env("CI_BUILD_STATE_DIR", host.state.path()).arg(lock).arg(&host.subject.command).args([
        "prune",
        "--repository",
        "nothing",
    ]);
    let said = command::output(&mut held)?;
    ensure!(said.trim() == "another prune is at work: skipped", "{said}");
    Ok(())
}

/// An engine that is killed in the middle is told of, with what was done.
pub(crate) fn engine_that_dies(subject: &Subject) -> Result<()> {
    const IMAGES: u64 = 40;
    let engine = engines::start(subject.engine.kind(), Options::default())?;
    let client = engine.client().clone();
    images::busybox(&client)?;
    command::run(client.docker().args(["create", "--name", "dies", images::BUSYBOX]))?;
    for number in 0..IMAGES {
        let change = format!("LABEL number={number}");
        command::run(client.docker().args([
            "commit",
            "--change",
            &change,
            "dies",
            &format!("dies:{number}"),
        ]))?;
    }
    let state = tempfile::tempdir().context("cannot create a directory")?;
    let mut prune = client.set_up(Command::new(&subject.command));
    prune.env("CI_BUILD_STATE_DIR", state.path()).args(["prune", "--repository", "dies"]).args(ALL);
    let mut child = prune.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context("cannot prune")?;
    let mut first = String::new();
    BufReader::new(child.stdout.take().context("it has a stdout")?)
        .read_line(&mut first)
        .context("it says nothing")?;
    ensure!(first.starts_with("deleted image"), "{first}");
    signal(engine.pid(), "KILL")?;
    let output = child.wait_with_output().context("cannot wait for the prune")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(125) && said.contains("error: "), "{:?}: {said}", output.status);
    let store = fs::read_dir(state.path().join("stores"))?.next().context("there is no store")??.path();
    let last: Value = serde_json::from_slice(&fs::read(store.join("last-prune.json"))?)?;
    let removed = last["removed"].as_u64().unwrap_or(0);
    ensure!((1..IMAGES).contains(&removed), "{last:#}");
    Ok(())
}

fn signal(pid: u32, name: &str) -> Result<()> {
    command::run(Command::new("kill").args([&format!("-{name}"), &pid.to_string()]))
}
