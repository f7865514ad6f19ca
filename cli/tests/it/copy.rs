//! Copying from registry to registry, with faults on the way.

use std::time::Duration;

use ci_build::registry::{
    Address, Client, Copied, Copier, CopyError, Extent, Limits, Removal, Repository, Retry, TagPattern,
    Target, Watch,
};
use ci_build_test_registry::{Fault, Image, On, Registry};
use jiff::{SignedDuration, Timestamp};

const LIMITS: Limits =
    Limits { first_byte: Duration::from_secs(5), floor: 0, window: Duration::from_secs(5) };
const RETRY: Retry = Retry { times: 3, first: Duration::from_millis(20), longest: Duration::from_millis(50) };

fn client(registry: &Registry) -> Client {
    let address: Address = format!("http://{}", registry.address()).parse().unwrap();
    Client::new(address, false)
}

fn copier() -> Copier {
    Copier::new(RETRY, LIMITS, 4, Watch::new(|_| {}))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Copies `app:TAG` to `copies/app:TAG`.
fn copy(copier: &Copier, from: &Registry, to: &Registry, tag: &str) -> Result<Copied, CopyError> {
    let (source, destination) = (client(from), client(to));
    let from = Repository { client: &source, name: "app" };
    let to = Repository { client: &destination, name: "copies/app" };
    run(copier.copy(from, to, &Target::Tag(tag.into()), Some(tag)))
}

fn two() -> (Registry, Registry) {
    (Registry::start().unwrap(), Registry::start().unwrap())
}

#[test]
fn an_index_is_copied_whole_with_what_refers_to_it_and_only_once() {
    let (from, to) = two();
    let (one, other) = (Image::new(1, 2, 10_000), Image::new(2, 2, 10_000));
    let index = Image::index(&[(&one, "amd64"), (&other, "arm64")]);
    for image in [&one, &other] {
        from.put("app", "", image);
    }
    let digest = from.put_index("app", "1", &index);
    let signature = Image::new(3, 1, 100).referrer(&index, "application/vnd.example.signature");
    from.put("app", "", &signature);
    from.tell_referrers();
    let copier = copier();
    let copied = copy(&copier, &from, &to, "1").unwrap();
    assert_eq!((copied.digest.as_str(), copied.was_there, copied.referrers), (digest.as_str(), false, 1));
    assert_eq!(to.tag("copies/app", "1"), Some(digest.clone()));
    for image in [&one, &other, &signature] {
        assert!(to.has("copies/app", &image.digest()));
    }
    // The destination knows no referrers: a tag stands for them.
    let list = to.tag("copies/app", &digest.replace(':', "-")).unwrap();
    assert!(to.has("copies/app", &list));
    // All that a manifest needs is there before it, and the tag comes after everything of its own.
    let puts: Vec<String> =
        to.requests().into_iter().filter(|one| one.method == "PUT").map(|one| one.path).collect();
    let place = |end: &str| puts.iter().position(|path| path.ends_with(end)).unwrap();
    assert!(place(&one.digest()) < place("manifests/1") && place(&other.digest()) < place("manifests/1"));

    to.forget();
    let again = copy(&copier, &from, &to, "1").unwrap();
    assert!(again.was_there);
    assert!(to.requests().iter().all(|request| request.method == "HEAD"), "{:?}", to.requests());
}

#[test]
fn a_copy_of_a_copy_finds_its_referrers_by_their_tag() {
    let (first, second) = two();
    let third = Registry::start().unwrap();
    let image = Image::new(1, 1, 100);
    first.put("app", "1", &image);
    first.put("app", "", &Image::new(2, 1, 100).referrer(&image.manifest, "application/vnd.example.list"));
    first.tell_referrers();
    copy(&copier(), &first, &second, "1").unwrap();
    let (source, destination) = (client(&second), client(&third));
    let from = Repository { client: &source, name: "copies/app" };
    let to = Repository { client: &destination, name: "app" };
    let copied = run(copier().copy(from, to, &Target::Tag("1".into()), Some("1"))).unwrap();
    assert_eq!(copied.referrers, 1);
}

#[test]
fn what_another_repository_of_the_destination_has_is_taken_from_there() {
    let (from, to) = two();
    let image = Image::new(1, 3, 10_000);
    from.put("app", "1", &image);
    let copier = copier();
    copy(&copier, &from, &to, "1").unwrap();
    let before = copier.sum();
    assert_eq!((before.sent, before.mounted), (4, 0));
    let (source, destination) = (client(&from), client(&to));
    let from = Repository { client: &source, name: "app" };
    let to = Repository { client: &destination, name: "elsewhere" };
    run(copier.copy(from, to, &Target::Tag("1".into()), Some("2"))).unwrap();
    let after = copier.sum();
    assert_eq!((after.sent, after.mounted, after.bytes), (4, 4, before.bytes));
}

#[test]
fn a_source_that_breaks_is_gone_on_with_where_it_broke() {
    let (from, to) = two();
    let image = Image::new(1, 1, 1_000_000);
    from.put("app", "1", &image);
    // The configuration is one of the two.
    from.fault_times(On::Blob, Fault::Truncated, 2);
    let copier = copier();
    copy(&copier, &from, &to, "1").unwrap();
    assert!(to.has("copies/app", &image.digest()));
    let whole = (image.layers[0].len() + image.config.len()) as u64;
    assert_eq!(copier.sum().bytes, whole, "each byte was sent once");
    assert!(from.requests().iter().any(|request| request.status == 206));
}

#[test]
fn wrong_content_is_never_tagged() {
    for on in [On::Manifest, On::Blob] {
        let (from, to) = two();
        from.put("app", "1", &Image::new(1, 1, 1000));
        from.fault(on, Fault::Wrong);
        let error = copy(&copier(), &from, &to, "1").unwrap_err();
        assert!(error.to_string().contains("wrong content"), "{error}");
        assert_eq!(error.registry, from.address().to_string());
        assert_eq!(to.tag("copies/app", "1"), None);
    }
}

#[test]
fn every_fault_of_the_source_ends_in_a_copy_or_in_an_error_that_names_it() {
    for on in [On::Manifest, On::Blob] {
        for fault in [404, 401, 403, 500].map(Fault::Status).into_iter().chain([
            Fault::Reset,
            Fault::Truncated,
            Fault::Loop,
            Fault::NoTls,
        ]) {
            let (from, to) = two();
            let image = Image::new(1, 1, 1000);
            from.put("app", "1", &image);
            from.fault(on, fault);
            let copied = copy(&copier(), &from, &to, "1");
            // What breaks in the middle goes on in the middle: each time half of the rest comes.
            let error = copied.expect_err("all requests fail").to_string();
            assert!(error.starts_with(&from.address().to_string()), "{fault:?}: {error}");
            assert_eq!(to.tag("copies/app", "1"), None);
            from.heal();
            copy(&copier(), &from, &to, "1").unwrap();
            // A fault that passes is not seen at all.
            from.fault_times(on, fault, 1);
            from.put("app", "2", &Image::new(2, 1, 1000));
            // Who is sent once to where they are finds it there.
            let passes = matches!(fault, Fault::Status(500) | Fault::Reset | Fault::Truncated | Fault::Loop);
            assert_eq!(copy(&copier(), &from, &to, "2").is_ok(), passes, "{on:?} {fault:?}");
        }
    }
}

/// What a registry that takes this request, and never reads it, makes of the work; which ends all the same.
fn silenced<T>(
    registry: &Registry,
    on: On,
    work: impl AsyncFn(&Copier) -> Result<T, CopyError>,
) -> Result<T, String> {
    const SOON: Duration = Duration::from_millis(300);
    registry.fault(on, Fault::Silent);
    let limits = Limits { first_byte: SOON, floor: 0, window: SOON };
    let copier = Copier::new(Retry { times: 1, ..RETRY }, limits, 1, Watch::new(|_| {}));
    let done = run(async { tokio::time::timeout(Duration::from_secs(30), work(&copier)).await });
    registry.heal();
    done.unwrap_or_else(|_| panic!("{on:?}: it waits for ever")).map_err(|error| error.failure.to_string())
}

#[test]
fn a_registry_that_falls_silent_is_given_up() {
    let (from, to) = two();
    // More than a socket takes that nobody reads from.
    for (tag, bytes) in [("small", 100), ("large", 20_000_000)] {
        from.put("app", tag, &Image::new(bytes as u64, 1, bytes));
    }
    let (source, destination) = (client(&from), client(&to));
    let from_repository = Repository { client: &source, name: "app" };
    let to_repository = Repository { client: &destination, name: "app" };
    let copy = async |copier: &Copier, tag: &str| {
        copier.copy(from_repository, to_repository, &Target::Tag(tag.into()), Some(tag)).await
    };
    let tags = silenced(&from, On::Tags, async |copier| copier.tags(from_repository, &[], false).await);
    assert_eq!(tags.unwrap_err(), "no first byte within 300ms");
    for tag in ["small", "large"] {
        let sent = silenced(&to, On::Patch, async |copier| copy(copier, tag).await);
        assert_eq!(sent.unwrap_err(), "no byte for 300ms", "{tag}");
    }
    let ended = silenced(&to, On::Put, async |copier| copy(copier, "small").await);
    assert_eq!(ended.unwrap_err(), "no first byte within 300ms");
    let config = silenced(&from, On::Blob, async |copier| copier.tags(from_repository, &[], true).await);
    assert_eq!(config.unwrap_err(), "no first byte within 300ms");
    for tag in ["small", "large"] {
        run(copy(&copier(), tag)).unwrap();
    }
    let removed =
        silenced(&to, On::Delete, async |copier| copier.remove(to_repository, &["small".into()]).await);
    assert_eq!(removed.unwrap_err(), "no first byte within 300ms");
}

#[test]
fn a_destination_is_not_blamed_for_a_source_that_is_slow() {
    let (from, to) = two();
    let image = Image::new(1, 1, 100_000);
    from.put("app", "1", &image);
    // Longer than the limit in all, and never silent for as long.
    from.fault(On::Blob, Fault::Drip(100_000));
    let soon = Duration::from_millis(400);
    let limits = Limits { first_byte: soon, floor: 0, window: soon };
    let copier = Copier::new(Retry { times: 0, ..RETRY }, limits, 1, Watch::new(|_| {}));
    copy(&copier, &from, &to, "1").unwrap();
    assert_eq!(to.tag("copies/app", "1"), Some(image.digest()));
}

#[test]
fn the_newest_are_copied_and_the_others_deleted() {
    let (from, to) = two();
    let now = Timestamp::now();
    let hours_ago = |hours: i64| (now - SignedDuration::from_hours(hours)).to_string();
    for (seed, hours) in [(1, 1), (2, 30), (3, 200), (4, 300)] {
        from.put("app", &format!("nightly-{seed}"), &Image::created(seed, 1, 100, &hours_ago(hours)));
    }
    from.put("app", "stable", &Image::new(9, 1, 100));
    for (seed, hours, tag) in [(3, 200, "nightly-3"), (4, 300, "nightly-4"), (4, 300, "release")] {
        to.put("app", tag, &Image::created(seed, 1, 100, &hours_ago(hours)));
    }
    let patterns: Vec<TagPattern> = vec!["nightly-*".parse().unwrap()];
    let extent = Extent { since: Some(Duration::from_secs(72 * 3600)), newest: None };
    let (source, destination) = (client(&from), client(&to));
    let from_repository = Repository { client: &source, name: "app" };
    let to_repository = Repository { client: &destination, name: "app" };
    let copier = copier();
    run(async {
        let tags = copier.tags(from_repository, &patterns, true).await.unwrap();
        let (meant, _) = extent.divide(tags, now);
        let meant: Vec<String> = meant.into_iter().map(|tagged| tagged.tag).collect();
        assert_eq!(meant, ["nightly-1", "nightly-2"]);
        for tag in &meant {
            copier.copy(from_repository, to_repository, &Target::Tag(tag.clone()), Some(tag)).await.unwrap();
        }
        let tags = copier.tags(to_repository, &patterns, true).await.unwrap();
        let (_, old) = extent.divide(tags, now);
        let old: Vec<String> = old.into_iter().map(|tagged| tagged.tag).collect();
        let removed = copier.remove(to_repository, &old).await.unwrap();
        assert_eq!(removed, [("nightly-3".into(), Removal::Gone), ("nightly-4".into(), Removal::Needed)]);
        assert_eq!(to.tags("app"), ["nightly-1", "nightly-2", "nightly-4", "release"]);
        to.refuse_deletion();
        let refused = copier.remove(to_repository, &["nightly-2".into()]).await.unwrap();
        assert_eq!(refused, [("nightly-2".into(), Removal::Refused)]);
    });
}

#[test]
fn a_date_in_a_tag_costs_no_request() {
    let registry = Registry::start().unwrap();
    registry.put("app", "v1-20260101", &Image::new(1, 1, 100));
    registry.put("app", "v1-20260201", &Image::new(2, 1, 100));
    registry.put("app", "v1-other", &Image::new(3, 1, 100));
    let client = client(&registry);
    let repository = Repository { client: &client, name: "app" };
    let patterns: Vec<TagPattern> = vec!["v1-{date}".parse().unwrap()];
    let tags = run(copier().tags(repository, &patterns, true)).unwrap();
    assert_eq!(tags.len(), 2);
    assert_eq!(registry.requests().len(), 1);
}
