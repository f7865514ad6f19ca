//! Which image is meant: by a digest, of a platform, the newest of many.

use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use ci_build_test_registry::Image;
use ci_build_tests::Subject;
use xtask::command;
use xtask::engines::Kind;

use super::{Room, blob_requests};

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

/// The platform that is asked for, though the engine has another one under the name.
pub(crate) fn of_a_platform(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let ours = Image::new(107, 1, 50_000);
    let foreign = Image::of_architecture(108, 1, 50_000, "arm64");
    let index = Image::index(&[(&ours, "amd64"), (&foreign, "arm64")]);
    for registry in [&room.mirror, &room.origin] {
        registry.put("team/app", "", &ours);
        registry.put("team/app", "", &foreign);
        registry.put_index("team/app", "1", &index);
    }
    let name = room.name(":1");
    let mut ids = std::collections::BTreeSet::new();
    for (platform, image) in [("linux/arm64", &foreign), ("linux/amd64", &ours)] {
        let ended = room.pull(&["--platform", platform, &name])?;
        ensure!(ended.succeeded, "{platform}: {}", ended.said);
        ids.extend(room.inspect(&name, "{{.Id}}")?);
        // Where containerd keeps images the name means the index, and what is there of it is its content.
        let has = |image: &Image| room.has_content(&image.config_digest());
        if subject.engine.kind() == Kind::Docker28_5Containerd {
            ensure!(has(image)?, "{platform}: its content is not there");
        } else {
            let architecture = room.inspect(&name, "{{.Os}}/{{.Architecture}}")?;
            ensure!(architecture.as_deref() == Some(platform), "{platform}: {architecture:?}");
            let again = room.pull(&["--platform", platform, &name])?;
            ensure!(again.said.contains("the engine has it"), "{platform}: {}", again.said);
        }
    }
    let none = room.pull(&["--platform", "linux/s390x", &name])?;
    ensure!(!none.succeeded && none.said.contains("linux/s390x"), "{}", none.said);
    let nonsense = room.pull(&["--platform", "not a platform", &name])?;
    ensure!(!nonsense.succeeded, "{}", nonsense.said);
    // The first one has no name any more.
    ids.iter().try_for_each(|id| command::run(subject.client.docker().args(["rmi", "--force", id])))
}

/// The newest of the last days, whoever has it, and its name alone on stdout.
pub(crate) fn latest(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let date = days_ago(2)?;
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

/// What the image's own registry says, though the engine has an older image of the day, and the mirror one of a newer.
pub(crate) fn latest_fresh(subject: &Subject) -> Result<()> {
    let room = Room::new(subject)?;
    let date = days_ago(1)?;
    let [old, new, foreign] = [109, 110, 111].map(|seed| Image::new(seed, 1, 1000));
    let tag = format!("nightly-{date}");
    let (pattern, name) = (room.name(":nightly-{date:%Y%m%d}"), room.name(&format!(":{tag}")));
    room.put(&tag, &old);
    let ended = room.pull(&["--latest", &pattern])?;
    ensure!(ended.succeeded && ended.stdout == format!("{name}\n"), "{}", ended.said);
    room.has(&name, &old)?;

    room.origin.put("team/app", &tag, &new);
    room.mirror.put("team/app", &format!("nightly-{}", days_ago(0)?), &foreign);
    let stays = room.pull(&["--latest", &room.name(":nightly-{date:%Y%m%d}"), "--days", "7"])?;
    ensure!(stays.stdout.contains(&days_ago(0)?), "without --fresh the mirror counts: {:?}", stays.stdout);
    let fresh = room.pull(&["--latest", &pattern, "--fresh"])?;
    ensure!(fresh.succeeded && fresh.stdout == format!("{name}\n"), "{:?}: {}", fresh.stdout, fresh.said);
    room.has(&name, &new)?;
    room.remove(stays.stdout.trim())?;
    room.remove(&name)
}

/// The day, so many days ago, as tags have it.
fn days_ago(days: u32) -> Result<String> {
    let day = format!("{days} days ago");
    let date = command::output(Command::new("date").args(["--utc", "--date", &day, "+%Y%m%d"]))?;
    Ok(date.trim().to_owned())
}
