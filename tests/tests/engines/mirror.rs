//! `ci-build mirror` to a registry that others wrote: Debian's docker-registry.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use ci_build_test_registry::{Image, Registry};
use serde_json::Value;
use xtask::{artifacts, command};

/// A registry of ours to copy from, and one of Debian's to copy to.
struct Room {
    origin: Registry,
    lan: xtask::registry::Registry,
    program: std::path::PathBuf,
}

impl Room {
    /// Copies, and gives the report.
    fn mirror(&self, arguments: &[&str]) -> Result<Value> {
        let mut mirror = Command::new(&self.program);
        mirror.arg("mirror").arg(format!("{}/team/app", self.origin.address()));
        mirror.arg(self.lan.address().to_string()).args(arguments).args(["--format", "json"]);
        mirror.env("CI_BUILD_CONFIG", "").stdin(Stdio::null());
        serde_json::from_str(&command::output(&mut mirror)?).context("it prints no JSON")
    }

    /// The tags of the destination whose manifest is there, of these.
    fn has(&self, tags: &[&str]) -> Result<Vec<String>> {
        let mut there = Vec::new();
        for tag in tags {
            let url = format!("http://{}/v2/team/app/manifests/{tag}", self.lan.address());
            let accept = "Accept: application/vnd.oci.image.manifest.v1+json";
            let code = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*", "-H", accept, &url];
            if command::output(Command::new("curl").args(code))? == "200" {
                there.push((*tag).to_owned());
            }
        }
        Ok(there)
    }
}

/// What is old is deleted there, but for what a tag that stays needs; once more, nothing happens.
pub(crate) fn prune_older() -> Result<()> {
    let room = Room {
        origin: Registry::start()?,
        lan: xtask::registry::Registry::start()?,
        program: artifacts::command()?,
    };
    let created = |seed: u64, ago: &str| -> Result<Image> {
        let mut date = Command::new("date");
        let time = command::output(date.args(["--utc", "--date", ago, "+%Y-%m-%dT%H:%M:%SZ"]))?;
        Ok(Image::created(seed, 1, 5000, time.trim()))
    };
    let ages = [("v1", "1 hour ago"), ("v2", "30 hours ago"), ("v3", "60 hours ago"), ("v4", "90 hours ago")];
    for (seed, (tag, ago)) in (200..).zip(ages) {
        room.origin.put("team/app", tag, &created(seed, ago)?);
    }
    let tags = ages.map(|(tag, _)| tag);
    let all = room.mirror(&["--tag", "v*"])?;
    ensure!(all["images"].as_array().is_some_and(|images| images.len() == 4), "{all:#}");
    ensure!(room.has(&tags)? == tags, "not all was copied: {all:#}");
    // Not of the pattern, and the same image as an old one.
    let old = format!("{}/team/app:v3", room.origin.address());
    let kept = format!("{}/team/app:stable", room.lan.address());
    let mut copy = Command::new(&room.program);
    command::run(copy.args(["mirror", &old, &kept]).env("CI_BUILD_CONFIG", ""))?;

    let pruned = room.mirror(&["--tag", "v*", "--since", "48h", "--prune-older"])?;
    let outcomes = pruned["pruned"].as_array().context("no list")?;
    let of = |tag: &str| {
        let one = outcomes.iter().find(|one| one["name"].as_str().is_some_and(|name| name.ends_with(tag)));
        one.map(|one| one["outcome"].as_str().unwrap_or_default().to_owned())
    };
    ensure!(of(":v3").as_deref() == Some("needed"), "{pruned:#}");
    ensure!(of(":v4").as_deref() == Some("deleted") && outcomes.len() == 2, "{pruned:#}");
    ensure!(room.has(&tags)? == ["v1", "v2", "v3"], "{pruned:#}");
    ensure!(room.has(&["stable"])? == ["stable"], "a tag of nobody's pattern is gone: {pruned:#}");

    let again = room.mirror(&["--tag", "v*", "--since", "48h", "--prune-older"])?;
    let deleted = again["pruned"].as_array().into_iter().flatten().filter(|one| one["outcome"] == "deleted");
    ensure!(deleted.count() == 0 && again["blobs"]["sent"] == 0, "{again:#}");
    ensure!(room.has(&tags)? == ["v1", "v2", "v3"], "{again:#}");
    Ok(())
}
