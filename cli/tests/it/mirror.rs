//! `ci-build mirror`, the command, between registries of ours.

use std::path::Path;
use std::process::Output;

use ci_build_test_registry::{Fault, Image, On, Registry};

use super::lock::command::ci_build;

fn mirror(place: &Path, arguments: &[&str]) -> Output {
    let mut command = ci_build(&place.join("state"), "mirror --retries 1 --backoff 20ms");
    command.args(arguments).env("DOCKER_CONFIG", place).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// docker's own configuration, after `docker login` at these registries.
fn log_in(place: &Path, registries: &[&Registry], pair: &str) {
    use base64::Engine as _;
    let auth = base64::engine::general_purpose::STANDARD.encode(pair);
    configure(place, registries, &serde_json::json!({ "auth": auth }));
}

/// The same after a login that left a token instead of a password.
fn log_in_by_identity(place: &Path, registries: &[&Registry], token: &str) {
    // The user is all zeros, and has no password.
    let auth = "MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==";
    configure(place, registries, &serde_json::json!({ "auth": auth, "identitytoken": token }));
}

fn configure(place: &Path, registries: &[&Registry], login: &serde_json::Value) {
    let auths: serde_json::Map<_, _> =
        registries.iter().map(|registry| (registry.address().to_string(), login.clone())).collect();
    let config = serde_json::json!({ "auths": auths });
    std::fs::write(place.join("config.json"), config.to_string()).unwrap();
}

/// Two registries, and an image in the first one, `team/app:1`.
fn that_ask_for_tokens() -> (Registry, Registry, Image) {
    let (from, to) = (Registry::start().unwrap(), Registry::start().unwrap());
    let image = Image::new(1, 2, 10_000);
    from.put("team/app", "1", &image);
    for registry in [&from, &to] {
        registry.ask_for_tokens("me", "secret");
    }
    (from, to, image)
}

#[test]
fn both_registries_may_ask_for_tokens() {
    let place = tempfile::tempdir().unwrap();
    let (from, to, image) = that_ask_for_tokens();
    let source = format!("{}/team/app:1", from.address());
    let destination = to.address().to_string();
    let output = mirror(place.path(), &[&source, &destination]);
    assert!(!output.status.success() && said(&output).contains("401"), "{}", said(&output));
    log_in(place.path(), &[&from, &to], "me:wrong");
    let output = mirror(place.path(), &[&source, &destination]);
    assert!(!output.status.success() && said(&output).contains("401"), "{}", said(&output));
    assert_eq!(to.tag("team/app", "1"), None);

    log_in(place.path(), &[&from, &to], "me:secret");
    let output = mirror(place.path(), &[&source, &destination]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(to.tag("team/app", "1"), Some(image.digest()));
    // One a kind of access; blobs that are asked for at the same time may each get one.
    for registry in [&from, &to] {
        let requests = registry.requests();
        let given =
            |one: &&ci_build_test_registry::Request| one.path.starts_with("/token") && one.status == 200;
        let tokens = requests.iter().filter(given).count();
        assert!((1..=6).contains(&tokens), "{tokens} tokens: {requests:#?}");
    }
}

#[test]
fn an_identity_token_is_changed_for_others() {
    let place = tempfile::tempdir().unwrap();
    let (from, to, image) = that_ask_for_tokens();
    for registry in [&from, &to] {
        registry.know_identity("who we are");
    }
    let names = [format!("{}/team/app:1", from.address()), to.address().to_string()];
    let names = [&*names[0], &*names[1]];
    log_in_by_identity(place.path(), &[&from, &to], "who others are");
    let output = mirror(place.path(), &names);
    assert!(!output.status.success() && said(&output).contains("401"), "{}", said(&output));
    assert_eq!(to.tag("team/app", "1"), None);

    log_in_by_identity(place.path(), &[&from, &to], "who we are");
    let output = mirror(place.path(), &names);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(to.tag("team/app", "1"), Some(image.digest()));
    // It is no password, and no part of an address, which others write down.
    for registry in [&from, &to] {
        let asked: Vec<_> =
            registry.requests().into_iter().filter(|one| one.path.starts_with("/token")).collect();
        let is_hidden = |one: &ci_build_test_registry::Request| one.method == "POST" && one.path == "/token";
        assert!(!asked.is_empty() && asked.iter().all(is_hidden), "{asked:#?}");
    }
}

#[test]
fn a_login_for_a_mount_that_is_refused_is_one_for_the_upload() {
    let place = tempfile::tempdir().unwrap();
    let registry = Registry::start().unwrap();
    let image = Image::new(1, 2, 10_000);
    registry.put("team/app", "1", &image);
    registry.ask_for_tokens("me", "secret");
    registry.refuse_mounts();
    log_in(place.path(), &[&registry], "me:secret");
    let (source, destination) =
        (format!("{}/team/app:1", registry.address()), format!("{}/copies/app:1", registry.address()));
    let output = mirror(place.path(), &[&source, &destination]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(registry.tag("copies/app", "1"), Some(image.digest()));
    let refused = |one: &ci_build_test_registry::Request| one.path.contains("mount=") && one.status == 202;
    let turned_away = |one: &ci_build_test_registry::Request| one.method == "PATCH" && one.status == 401;
    let requests = registry.requests();
    assert!(requests.iter().any(refused) && !requests.iter().any(turned_away), "{requests:#?}");
}

#[test]
fn a_login_that_ends_before_an_upload_is_renewed() {
    let place = tempfile::tempdir().unwrap();
    let (from, to) = (Registry::start().unwrap(), Registry::start().unwrap());
    let image = Image::new(1, 1, 10_000);
    from.put("team/app", "1", &image);
    to.ask_for_tokens("me", "secret");
    log_in(place.path(), &[&to], "me:secret");
    to.fault_times(On::Patch, Fault::LoginEnds, 1);
    let output =
        mirror(place.path(), &[&format!("{}/team/app:1", from.address()), &to.address().to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("the login had ended"), "{}", said(&output));
    assert_eq!(to.tag("team/app", "1"), Some(image.digest()));
}

#[test]
fn a_mirror_leaves_no_lock_and_needs_no_state() {
    let place = tempfile::tempdir().unwrap();
    let (from, to) = (Registry::start().unwrap(), Registry::start().unwrap());
    from.put("app", "1", &Image::new(1, 1, 100));
    let output = mirror(place.path(), &[&format!("{}/app:1", from.address()), &to.address().to_string()]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(!place.path().join("state").exists(), "it is about no engine's store");
}
