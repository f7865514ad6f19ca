//! What prune takes beside images, each by its own switch; and what jobs keep from it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use ci_build::journal::Owner;
use ci_build::store::Process;
use ci_build_tests::{Subject, host};
use serde_json::Value;
use xtask::{build, command, images};

use super::{ALL, Host, names};

/// Build cache of one cache mount goes, other cache stays. The ids are the targets: Docker 20.10 names those alone.
pub(crate) fn build_cache_by_its_id(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let mount = |target: &str| {
        format!("RUN --mount=type=cache,target={target} dd if=/dev/zero of={target}/x bs=1024 count=64\n")
    };
    let text = format!("FROM {}\n{}{}", images::BUSYBOX, mount("/prune-one"), mount("/prune-two"));
    fs::write(directory.path().join("Dockerfile"), text).context("cannot write a Dockerfile")?;
    command::run(subject.client.buildx().args(["build", "--quiet", "--no-cache"]).arg(directory.path()))?;
    let prune = |id: &str, more: &[&str]| {
        host.prune("nothing", &[&ALL[..], &["--build-cache", "--cache-mount", id], more].concat())
    };
    let (report, code) = prune("/prune-on?", &[])?;
    ensure!(code == Some(0) && names(&report, "deleted").len() == 1, "{report:#}");
    ensure!(names(&report, "deleted")[0].contains("prune-one"), "{report:#}");
    let (report, _) = prune("/prune-*", &["--dry-run"])?;
    ensure!(
        names(&report, "goes").len() == 1 && names(&report, "goes")[0].contains("prune-two"),
        "{report:#}"
    );
    prune("/prune-*", &[]).map(drop)
}

/// Ended containers of ours go, but for one whose owner lives, and one that has our labels from its image.
pub(crate) fn containers(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let (dead, alive) = (dead()?, Owner::this().context("this process is nobody")?);
    let made = |name: &str, labels: &[String], image: &str, command: &str| -> Result<()> {
        let labels = labels.iter().flat_map(|label| ["--label", label]);
        let words =
            ["run", "--name", name, "--network=none"].into_iter().chain(labels).chain([image, command]);
        host.docker(&words.collect::<Vec<_>>()).map(drop)
    };
    let of = |owner: &Owner, run: &str| [format!("ci-build.owner={owner}"), format!("ci-build.run={run}")];
    made("left", &of(&dead, "1"), images::BUSYBOX, "true")?;
    made("owned", &of(&alive, "2"), images::BUSYBOX, "true")?;
    let job = [&of(&dead, "3")[..], &[format!("ci-build.job={alive}")]].concat();
    made("of-a-job", &job, images::BUSYBOX, "true")?;
    made("neighbour", &[], images::BUSYBOX, "true")?;
    host.docker(&["commit", "left", "containers:copy"])?;
    made("copy", &[], "containers:copy", "true")?;
    let labels = of(&dead, "4");
    let runs =
        ["run", "-d", "--name", "runs", "--network=none", "--label", &labels[0], "--label", &labels[1]];
    host.docker(&[&runs[..], &[images::BUSYBOX, "sleep", "4000"]].concat())?;

    let (dry, _) = host.prune("nothing", &[&ALL[..], &["--containers", "--dry-run"]].concat())?;
    ensure!(names(&dry, "goes") == ["left"], "{dry:#}");
    let (report, code) = host.prune("nothing", &[&ALL[..], &["--containers"]].concat())?;
    ensure!(code == Some(0) && names(&report, "deleted") == ["left"], "{report:#}");
    let why = |name: &str| {
        let things = report["things"].as_array().into_iter().flatten();
        things.filter(|thing| thing["name"] == name).map(|thing| thing["cause"].clone()).next()
    };
    ensure!(why("owned") == Some("owned".into()) && why("of-a-job") == Some("owned".into()), "{report:#}");
    let there = host.docker(&["ps", "--all", "--format", "{{.Names}}"])?;
    let mut there: Vec<&str> = there.lines().collect();
    there.sort_unstable();
    ensure!(there == ["copy", "neighbour", "of-a-job", "owned", "runs"], "{there:?}");
    // Too young for a prune with an age.
    made("young", &of(&dead, "5"), images::BUSYBOX, "true")?;
    let (report, _) = host.prune("nothing", &["--containers"])?;
    ensure!(names(&report, "stays").contains(&"young"), "{report:#}");
    host.docker(&["rm", "--force", "copy", "neighbour", "of-a-job", "owned", "runs", "young"])?;
    host.docker(&["rmi", "containers:copy"]).map(drop)
}

/// Who has ended.
fn dead() -> Result<Owner> {
    let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().context("cannot run cat")?;
    let process = Process::of(child.id()).context("cat has no process")?;
    child.kill().and_then(|()| child.wait()).context("cannot end cat")?;
    Ok(Owner::of(process))
}

/// Anonymous volumes without a container go, others stay; so do networks that somebody is in.
pub(crate) fn volumes_and_networks(subject: &Subject) -> Result<()> {
    let host = Host::new(subject)?;
    let anonymous = host.docker(&["volume", "create"])?;
    host.docker(&["volume", "create", "prune-named"])?;
    let mounts = ["create", "--name", "prune-has", "-v", "/anonymous", "-v", "prune-used:/named"];
    host.docker(&[&mounts[..], &[images::BUSYBOX, "true"]].concat())?;
    let format = "{{range .Mounts}}{{.Name}} {{end}}";
    let used = host.docker(&["inspect", "--format", format, "prune-has"])?;
    host.docker(&["network", "create", "--internal", "prune-free"])?;
    host.docker(&["network", "create", "--internal", "prune-taken"])?;
    host.docker(&["create", "--name", "prune-in", "--network", "prune-taken", images::BUSYBOX, "true"])?;

    let both =
        |more: &[&str]| host.prune("nothing", &[&ALL[..], &["--volumes", "--networks"], more].concat());
    let neither = host.prune("nothing", &ALL)?.0;
    ensure!(names(&neither, "deleted").is_empty(), "without a switch: {neither:#}");
    let (dry, _) = both(&["--dry-run"])?;
    let (report, code) = both(&[])?;
    ensure!(code == Some(0) && names(&dry, "goes") == names(&report, "deleted"), "{dry:#} {report:#}");
    let gone = names(&report, "deleted");
    ensure!(gone.contains(&&*anonymous) && gone.contains(&"prune-free"), "{report:#}");
    let volumes = host.docker(&["volume", "ls", "--quiet"])?;
    let networks = host.docker(&["network", "ls", "--format", "{{.Name}}"])?;
    for volume in used.split_whitespace().chain(["prune-named"]) {
        ensure!(volumes.lines().any(|line| line == volume), "{volume} is gone: {report:#}");
    }
    ensure!(!volumes.contains(&anonymous), "{volumes}");
    ensure!(networks.contains("prune-taken") && !networks.contains("prune-free"), "{networks}");
    ensure!(networks.contains("none") && networks.contains("host"), "the engine's own are gone: {networks}");
    // A network that came a moment ago is somebody's who is about to use it.
    host.docker(&["network", "create", "--internal", "prune-free"])?;
    let (report, _) = host.prune("nothing", &["--volumes", "--networks"])?;
    ensure!(names(&report, "deleted").is_empty(), "{report:#}");
    host.docker(&["rm", "--volumes", "prune-has", "prune-in"])?;
    host.docker(&["network", "rm", "prune-free", "prune-taken"])?;
    host.docker(&["volume", "rm", "prune-named", "prune-used"]).map(drop)
}

/// Build cache goes, the least recently used first, until it has the size that it may have; and all of it where all is old.
pub(crate) fn build_cache_by_size(subject: &Subject) -> Result<()> {
    const PIECE: u64 = 2 << 20;
    let host = Host::new(subject)?;
    build::forget(&subject.client)?;
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let make = |name: &str| -> Result<()> {
        let dd = "dd if=/dev/urandom bs=65536 count=32";
        let text = format!(
            "FROM {}\nRUN --mount=type=cache,target=/size-{name} {dd} of=/size-{name}/x\n",
            images::BUSYBOX
        );
        fs::write(directory.path().join("Dockerfile"), text).context("cannot write a Dockerfile")?;
        command::run(subject.client.buildx().args(["build", "--quiet"]).arg(directory.path()))
    };
    for name in ["a", "b", "c"] {
        make(name)?;
    }
    // Neither old nor in the way of a full disk: what counts is the size.
    let young = ["--disk-high", "100", "--disk-low", "100", "--grace", "0", "--build-cache"];
    // Of two of them, and a little.
    let room = format!("{}KiB", (2 * PIECE + PIECE / 2) >> 10);
    let (report, code) = host.prune("nothing", &[&young[..], &["--build-cache-size", &room]].concat())?;
    ensure!(code == Some(0), "{report:#}");
    let gone = |name: &str| names(&report, "deleted").iter().any(|deleted| deleted.contains(name));
    ensure!(gone("/size-a") && !gone("/size-c"), "{report:#}");
    let (again, _) = host.prune("nothing", &[&young[..], &["--build-cache-size", &room]].concat())?;
    ensure!(names(&again, "deleted").is_empty(), "{again:#}");
    let (all, code) = host.prune("nothing", &[&ALL[..], &["--build-cache"]].concat())?;
    ensure!(code == Some(0) && names(&all, "deleted").iter().any(|name| name.contains("/size-c")), "{all:#}");
    ensure!(build::cache_mounts(&subject.client)? == 0, "{all:#}");
    Ok(())
}

/// What a job has built stays for as long as the job lives, and goes afterwards.
pub(crate) fn spares_what_a_job_built(subject: &Subject) -> Result<()> {
    let host = host::Host::new(subject)?;
    let directory = tempfile::tempdir().context("cannot create a directory")?;
    let text = format!("FROM {}\nRUN echo built > /by\n", images::BUSYBOX);
    fs::write(directory.path().join("Dockerfile"), text).context("cannot write a Dockerfile")?;
    let mut job = host.session("\"$CI_BUILD\" build -q -t by-a-job:1 \"$0\" && echo built && read end");
    job.arg(directory.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut job = job.spawn().context("the job does not start")?;
    let mut lines = BufReader::new(job.stdout.take().context("it is a pipe")?).lines();
    ensure!(lines.by_ref().any(|line| line.is_ok_and(|line| line == "built")), "it was not built");
    let prune = || -> Result<Value> {
        let mut prune = host.command(&["prune", "--format", "json", "--repository", "by-a-job"]);
        serde_json::from_str(&command::output(prune.args(ALL))?).context("there is no report")
    };
    let report = prune()?;
    ensure!(names(&report, "deleted").is_empty(), "{report:#}");
    let things = report["things"].as_array().context("no things")?;
    let thing = things.iter().find(|thing| thing["name"] == "by-a-job:1").context("it is gone")?;
    ensure!(thing["cause"] == "leased", "{thing:#}");
    drop(job.stdin.take());
    job.wait().context("the job does not end")?;
    let report = prune()?;
    ensure!(names(&report, "deleted") == ["by-a-job:1"], "{report:#}");
    Ok(())
}
