//! What the checks say of hosts that nobody has at hand.

use std::path::PathBuf;
use std::time::Duration;

use crate::disk::Space;
use crate::doctor::facts::{Facts, Interpreter, Limits};
use crate::doctor::steps::Left;
use crate::doctor::{CHECKS, State};
use crate::engine::{Builder, ImageStore, Info};
use crate::error::{Blame, Explain, Failure};
use crate::registry;
use crate::store;

fn healthy() -> Facts {
    let component = |name: &str, version: &str| (name.to_owned(), version.to_owned());
    Facts {
        engine: Ok(Info {
            id: Some("ID".into()),
            version: "28.5.2+dfsg1".into(),
            root: Some(PathBuf::from("/var/lib/docker")),
            is_local: true,
            ahead: jiff::SignedDuration::ZERO,
            store: ImageStore::GraphDriver("overlay2".into()),
            components: vec![component("containerd", "2.1.9"), component("runc", "1.3.6")],
            builders: Vec::new(),
        }),
        frontend: Some(("localhost/ci-build/frontend:0.1.0".into(), true)),
        state: Ok(store::State {
            path: PathBuf::from("/var/lib/ci-build"),
            mode: Some(0o2770),
            file_system: Some("ext4"),
        }),
        space: Some(Space {
            total: 100 << 30,
            used: 50 << 30,
            free: 50 << 30,
            inodes: 1000,
            inodes_free: 900,
        }),
        steps: Some(Ok(Vec::new())),
        interpreters: vec![Interpreter { name: "qemu-aarch64".into(), is_enabled: true, is_fixed: true }],
        buildx: Ok("0.29.1".into()),
        mirrors: Ok(Vec::new()),
        mirror_limits: LIMITS,
        limits: Limits { free: 10, inodes: 5 },
    }
}

/// What is not fine, a line a finding.
fn told(facts: &Facts) -> String {
    let findings = CHECKS.iter().map(|check| (check.name, check.look(facts)));
    let told: Vec<_> = findings
        .filter(|(_, finding)| finding.state != State::Fine)
        .map(|(name, finding)| {
            format!("{} {name}: {} -> {}", finding.state.name(), finding.found, finding.advice.join(" / "))
        })
        .collect();
    told.join("\n")
}

/// The healthy host, with its engine changed.
fn with_engine(change: impl FnOnce(&mut Info)) -> Facts {
    let mut facts = healthy();
    change(facts.engine.as_mut().unwrap());
    facts
}

#[test]
fn nothing_is_wrong_with_a_healthy_host() {
    assert_eq!(told(&healthy()), "");
}

#[test]
fn runc_is_wrong_where_it_loses_the_race() {
    let of = |version: &str| {
        let mut facts = healthy();
        facts.engine.as_mut().unwrap().components = vec![("runc".into(), version.into())];
        super::runc::CHECK.look(&facts).state
    };
    assert_eq!(
        ["1.1.15+ds1", "1.2.0", "1.2.2", "1.2.3", "1.3.6"].map(of),
        [State::Fine, State::Wrong, State::Wrong, State::Fine, State::Fine]
    );
    assert_eq!(of("of its own"), State::Unknown);
    insta::assert_snapshot!(told(&with_engine(|info| info.components = vec![("runc".into(), "1.2.1".into())])), @"wrong runc: runc 1.2.1 fails when two steps make one mountpoint at once -> update runc to 1.2.3 or later / until then build with policy=auto or prime, which make mountpoints beforehand");
}

#[test]
fn an_old_buildkit_is_wrong_in_an_engine_and_in_a_builder() {
    let of =
        |version: &str| super::buildkit::CHECK.look(&with_engine(|info| info.version = version.into())).state;
    assert_eq!(
        ["20.10.24+dfsg1", "24.0.8", "24.0.9", "25.0.1", "25.0.2", "26.1.5"].map(of),
        [State::Wrong, State::Wrong, State::Fine, State::Wrong, State::Fine, State::Fine]
    );
    let builder = |image: &str| Builder { name: "buildx_buildkit_ci0".into(), image: image.into() };
    let facts = with_engine(|info| info.builders = vec![builder("moby/buildkit:v0.12.4")]);
    insta::assert_snapshot!(told(&facts), @"wrong buildkit: builder ci0 runs moby/buildkit:v0.12.4: a step can reach the host's files (CVE-2024-23651) -> update the engine to 24.0.9, 25.0.2 or later, unless its distributor has mended it / a builder of buildx: `docker buildx rm` and create it anew / until then build only Dockerfiles and frontends that you trust");
    let facts = with_engine(|info| {
        info.builders = vec![builder("moby/buildkit:v0.12.5"), builder("moby/buildkit:buildx-stable-1")];
    });
    assert_eq!(told(&facts), "");
}

#[test]
fn containerds_store_is_worth_knowing() {
    let facts = with_engine(|info| info.store = ImageStore::Containerd("overlayfs".into()));
    insta::assert_snapshot!(told(&facts), @"note image-store: containerd, overlayfs: the engine's own image prune breaks pulls that run at the same time -> run it under the lock: `ci-build lock --exclusive -- docker image prune -af`, and pulls under `ci-build lock --shared`");
}

#[test]
fn little_room_is_wrong() {
    let space = Space { total: 100 << 30, used: 91 << 30, free: 9 << 30, inodes: 1000, inodes_free: 10 };
    insta::assert_snapshot!(told(&Facts { space: Some(space), ..healthy() }), @r"
    wrong disk: 9.0 GiB of 100.0 GiB (9 %) are free below /var/lib/docker -> `docker system df` shows what takes the room; `ci-build prune --build-cache` makes some, and `ci-build prune --dry-run` says what would go
    wrong inodes: 10 of 1000 (1 %) are free -> many small files take them, often in caches: `ci-build prune --build-cache`, or a file system with more inodes
    ");
    let facts = with_engine(|info| info.is_local = false);
    insta::assert_snapshot!(told(&Facts { space: None, ..facts }), @r"
    unknown disk: the engine is on another host -> 
    unknown inodes: the engine is on another host ->
    ");
}

#[test]
fn a_lock_directory_that_others_do_not_see_is_worth_knowing() {
    let on = |file_system| {
        let mut facts = healthy();
        facts.state.as_mut().unwrap().file_system = Some(file_system);
        told(&facts)
    };
    insta::assert_snapshot!(on("overlay"), @"note lock-directory: /var/lib/ci-build, mode 2770, overlay: only this container sees it -> mount the host's directory here, or name it with CI_BUILD_STATE_DIR");
    insta::assert_snapshot!(on("tmpfs"), @"note lock-directory: /var/lib/ci-build, mode 2770, tmpfs: leases with a time end with a boot -> keep it on a disk if they are to outlive one");
}

#[test]
fn an_emulator_that_containers_do_not_see_is_wrong() {
    let entry = |name: &str, is_fixed| Interpreter { name: name.into(), is_enabled: true, is_fixed };
    let interpreters = vec![entry("qemu-aarch64", true), entry("qemu-arm", false), entry("python3", false)];
    insta::assert_snapshot!(told(&Facts { interpreters, ..healthy() }), @"wrong binfmt: containers do not see what emulates arm -> register it anew with the flag F, as Debian's qemu-user-static or `docker run --privileged tonistiigi/binfmt` do");
    insta::assert_snapshot!(told(&Facts { interpreters: Vec::new(), ..healthy() }), @"note binfmt: only this machine's own platform -> for builds of other platforms install qemu-user-static and binfmt-support");
}

#[derive(Debug, thiserror::Error)]
#[error("cannot reach the docker engine at unix:///nowhere (from DOCKER_HOST)")]
struct Unreachable;

impl Explain for Unreachable {
    fn blame(&self) -> Blame {
        Blame::Surroundings
    }
    fn help(&self) -> Vec<String> {
        vec!["is the engine running?".into()]
    }
}

#[test]
fn without_an_engine_the_rest_is_looked_at_all_the_same() {
    let facts = Facts {
        engine: Err(Failure::from(Unreachable)),
        state: Err(Failure::from(Unreachable)),
        frontend: None,
        space: None,
        buildx: Err("`docker buildx version`: No such file or directory (os error 2)".into()),
        ..healthy()
    };
    insta::assert_snapshot!(told(&facts), @r"
    wrong engine: cannot reach the docker engine at unix:///nowhere (from DOCKER_HOST) -> is the engine running?
    unknown runc: no engine answers -> 
    unknown buildkit: no engine answers -> 
    unknown image-store: no engine answers -> 
    wrong lock-directory: cannot reach the docker engine at unix:///nowhere (from DOCKER_HOST) -> is the engine running?
    unknown disk: no engine answers -> 
    unknown inodes: no engine answers -> 
    unknown frontend: no engine answers -> 
    note buildx: `docker buildx version`: No such file or directory (os error 2) -> `ci-build build` needs docker with its plugin buildx, as the packages docker-cli and docker-buildx have them
    ");
}

const LIMITS: registry::Limits =
    registry::Limits { first_byte: Duration::from_secs(5), floor: 1 << 20, window: Duration::from_secs(10) };

#[test]
fn a_mirror_that_is_slow_or_gone_is_wrong() {
    let mirror =
        |address: &str| format!("registry.example=http://{address}").parse::<registry::Mirror>().unwrap();
    let seen = |rate| registry::Examination {
        latency: Duration::from_millis(2),
        rate,
        allowance: Some(registry::Allowance { left: 7, of: Some(100), window: None }),
    };
    let facts = |mirrors| Facts { mirrors: Ok(mirrors), ..healthy() };
    let fine = vec![(mirror("a:5000"), Ok(seen(Some(2 << 20)))), (mirror("b"), Ok(seen(None)))];
    assert_eq!(told(&facts(fine)), "");
    let gone = registry::Failure::Unreachable("connection refused".into());
    let wrong = vec![(mirror("a:5000"), Ok(seen(Some(1000)))), (mirror("b"), Err(gone))];
    insta::assert_snapshot!(told(&facts(wrong)), @"wrong mirrors: http://a:5000 answers in 2 ms, 1000 B/s, below 1.0 MiB/s, 7 pulls left; http://b: cannot be reached: connection refused -> [[mirror]] in /etc/ci-build.toml, or CI_BUILD_MIRROR, names it; pulls go past it at the price of these limits");
}

#[test]
fn steps_without_a_build_are_told() {
    let left = |pid| Left {
        id: "a2cu".into(),
        pid,
        mounts: vec!["/var/lib/docker/buildkit/executor/a2cu/rootfs".into()],
    };
    let with = |steps| told(&Facts { steps, ..healthy() });
    insta::assert_snapshot!(with(Some(Ok(vec![left(Some(7))]))), @"wrong steps: the step a2cu of a build that has ended still runs, as process 7 -> `runc delete --force a2cu` ends it / `umount /var/lib/docker/buildkit/executor/a2cu/rootfs`");
    insta::assert_snapshot!(with(Some(Ok(vec![left(None)]))), @"note steps: the step a2cu has ended, and is still mounted -> `umount /var/lib/docker/buildkit/executor/a2cu/rootfs`");
    insta::assert_snapshot!(with(Some(Err("Permission denied (os error 13)".into()))).trim_end_matches(" -> "), @"unknown steps: cannot look at runc's records: Permission denied (os error 13)");
}
