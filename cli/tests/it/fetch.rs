//! Fetching from sources that fail in every way (the fault matrix), all of it on the loopback.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ci_build::image::Digest;
use ci_build::registry::{Exhausted, Limits, Mirror, Part, Reference, Retry, Sources, Target, Watch, chain};
use ci_build_test_registry::{Fault, Image, On, Registry};

/// What mirrors have to prove here.
const LIMITS: Limits =
    Limits { first_byte: Duration::from_millis(300), floor: 100_000, window: Duration::from_millis(500) };
/// What is asked of the last source.
const PATIENT: Limits =
    Limits { first_byte: Duration::from_millis(600), floor: 0, window: Duration::from_millis(700) };
const RETRY: Retry =
    Retry { times: 2, first: Duration::from_millis(50), longest: Duration::from_millis(100) };
/// Every cell ends within this time: three requests, three times each, at the most patient limit of them.
const DEADLINE: Duration = Duration::from_secs(4);

const TAG: &str = "1";

fn faults() -> Vec<Fault> {
    let status = [404, 401, 403, 500, 503].map(Fault::Status);
    status.into_iter().chain([Fault::RetryAfter(429, 1)]).chain(Fault::OF_TRANSPORT).collect()
}

/// An image's name at this registry, which is its own.
fn image_of(registry: &Registry) -> Reference {
    format!("{}/app:{TAG}", registry.address()).parse().unwrap()
}

fn mirror_of(origin: &Registry, mirror: &Registry) -> Mirror {
    Mirror {
        name: Some("lan".into()),
        ..format!("{}=http://{}", origin.address(), mirror.address()).parse().unwrap()
    }
}

fn sources(image: &Reference, mirrors: &[Mirror]) -> Sources {
    Sources::new(chain(image, mirrors, LIMITS, PATIENT), RETRY, Watch::new(|_| {}))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// Fetches the whole image and gives the names of the sources that its blobs are from.
async fn fetch(sources: &Sources) -> Result<Vec<String>, Exhausted> {
    let place = tempfile::tempdir().unwrap();
    let (digest, _) = sources.resolve(TAG, false).await?;
    let (manifest, _) = sources.manifest(&digest).await?;
    assert_eq!(manifest.digest, digest);
    let mut from = Vec::new();
    for blob in manifest.blobs() {
        let path = place.path().join(blob.digest.hex());
        let mut part = Part::of(std::fs::File::create_new(&path).unwrap()).unwrap();
        from.push(sources.blob(&blob.digest, blob.size, &mut part).await?.name.clone());
        assert_eq!(Digest::of(&std::fs::read(path).unwrap()), blob.digest, "a wrong blob was let through");
    }
    Ok(from)
}

/// One cell: what became of it, without what differs from run to run.
fn cell(origin: &Registry, mirrors: &[Mirror]) -> (String, Duration) {
    let (image, started) = (image_of(origin), Instant::now());
    let sources = sources(&image, mirrors);
    let ended = run(async { tokio::time::timeout(DEADLINE, fetch(&sources)).await });
    let told = match ended {
        Ok(Ok(mut from)) => {
            from.dedup();
            format!("right, from {}", from.join(" and "))
        }
        Ok(Err(exhausted)) => exhausted.to_string(),
        Err(_) => {
            let last = sources.tried().pop().map(|tried| format!("; {}: {}", tried.source, tried.failure));
            format!("deadline{}", last.unwrap_or_default())
        }
    };
    let told = told.replace(&origin.address().to_string(), "origin");
    (without_digests(&told), started.elapsed())
}

/// Digests tell nobody anything here.
fn without_digests(text: &str) -> String {
    let mut words: Vec<String> = text.split(' ').map(str::to_owned).collect();
    for word in &mut words {
        if let Some(at) = word.find("sha256:") {
            word.replace_range(
                at..at
                    + 7
                    + word[at + 7..].find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(word.len() - at - 7),
                "DIGEST",
            );
        }
    }
    words.join(" ")
}

fn matrix(on: On, is_mirror: bool) -> String {
    let app = Image::new(1, 2, 60_000);
    let mut table = String::new();
    for fault in faults() {
        let (origin, mirror) = (Registry::start().unwrap(), Registry::start().unwrap());
        origin.put("app", TAG, &app);
        mirror.put("app", TAG, &app);
        let mirrors = [mirror_of(&origin, &mirror)];
        let (told, took) = if is_mirror {
            mirror.fault(on, fault);
            cell(&origin, &mirrors)
        } else {
            origin.fault(on, fault);
            cell(&origin, &[])
        };
        assert!(took < DEADLINE + Duration::from_millis(500), "{fault:?} took {took:?}");
        table.push_str(&format!("{fault:?}: {told}\n"));
    }
    table
}

#[test]
fn a_mirror_that_fails_with_manifests_costs_nothing_but_its_limits() {
    insta::assert_snapshot!(matrix(On::Manifest, true));
}

#[test]
fn a_mirror_that_fails_with_blobs_costs_nothing_but_its_limits() {
    insta::assert_snapshot!(matrix(On::Blob, true));
}

#[test]
fn an_origin_that_fails_with_manifests_is_told_about() {
    insta::assert_snapshot!(matrix(On::Manifest, false));
}

#[test]
fn an_origin_that_fails_with_blobs_is_told_about() {
    insta::assert_snapshot!(matrix(On::Blob, false));
}

#[test]
fn what_came_before_a_connection_broke_is_not_fetched_again() {
    let (origin, mirror) = (Registry::start().unwrap(), Registry::start().unwrap());
    let app = Image::new(1, 1, 1_000_000);
    origin.put("app", TAG, &app);
    mirror.put("app", TAG, &app);
    mirror.fault(On::Blob, Fault::Truncated);
    let image = image_of(&origin);
    let received = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counted = Arc::clone(&received);
    let watch = Watch::new(move |event| {
        if let ci_build::registry::Event::Bytes(_, bytes) = event {
            counted.fetch_add(bytes, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let chain = chain(&image, &[mirror_of(&origin, &mirror)], LIMITS, PATIENT);
    let sources = Sources::new(chain, RETRY, watch);
    run(fetch(&sources)).unwrap();
    let whole = (app.layers[0].len() + app.config.len()) as u64;
    assert_eq!(received.load(std::sync::atomic::Ordering::Relaxed), whole, "each byte came once");
    assert!(origin.requests().iter().any(|request| request.status == 206), "the rest came from the origin");
}

#[test]
fn a_tag_is_what_the_mirror_says_unless_the_origin_is_asked() {
    let (origin, mirror) = (Registry::start().unwrap(), Registry::start().unwrap());
    let (old, new) = (Image::new(1, 1, 100), Image::new(2, 1, 100));
    mirror.put("app", TAG, &old);
    origin.put("app", TAG, &new);
    let image = image_of(&origin);
    let sources = sources(&image, &[mirror_of(&origin, &mirror)]);
    run(async {
        let (digest, source) = sources.resolve(TAG, false).await.unwrap();
        assert_eq!((digest.as_str(), source.name.as_str()), (old.digest().as_str(), "lan"));
        let (digest, source) = sources.resolve(TAG, true).await.unwrap();
        assert_eq!((digest.as_str(), source.is_origin), (new.digest().as_str(), true));
        // Its content may still come from the mirror, but for what that has not.
        let (_, source) = sources.manifest(&digest).await.unwrap();
        assert!(source.is_origin);
    });
    let target = image.target();
    assert_eq!(target, &Target::Tag(TAG.into()));
}

#[test]
fn fifty_clients_get_the_image_from_a_registry_that_limits_them() {
    const CLIENTS: usize = 50;
    /// Requests that it takes to have the image: the tag, the manifest, the configuration, the layer.
    const LEAST: usize = 4 * CLIENTS;
    let origin = Registry::start().unwrap();
    origin.put("app", TAG, &Image::new(1, 1, 1000));
    origin.limit(LEAST / 5, Duration::from_secs(2));
    let image = image_of(&origin);
    let retry = Retry { times: 10, first: Duration::from_millis(500), longest: Duration::from_secs(2) };
    // Fifty clients in one thread take their time.
    let patient = Limits { first_byte: Duration::from_secs(30), ..PATIENT };
    let started = Instant::now();
    run(async {
        let client = || async {
            let chain = chain(&image, &[], LIMITS, patient);
            fetch(&Sources::new(chain, retry, Watch::new(|_| {}))).await
        };
        for one in futures_util::future::join_all((0..CLIENTS).map(|_| client())).await {
            one.unwrap();
        }
    });
    let requests = origin.requests();
    let refused = requests.iter().filter(|request| request.status == 429).count();
    eprintln!("{} requests, {refused} refused, {:.1} s", requests.len(), started.elapsed().as_secs_f64());
    assert!(refused > 0, "nobody was ever refused, so this shows nothing");
    // Who was refused comes back when it was told to, so there are fewer than one refusal a client and window.
    assert!(refused < 5 * CLIENTS, "{refused} of {} requests were refused", requests.len());
    assert_eq!(requests.len() - refused, LEAST);
}
