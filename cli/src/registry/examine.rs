//! How a mirror is doing: whether it answers, how quickly, how much it sends in a second, what it still allows.

use std::time::{Duration, Instant};

use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::answer::{Allowance, small_body};
use super::client::{Ask, Client};
use super::failure::Failure;
use super::manifest::Manifest;
use super::probe::Limits;
use super::reference::Target;
use super::source::Mirror;

/// No more is read for the throughput.
const MOST: u64 = 32 << 20;

/// And not for longer.
const LONGEST: Duration = Duration::from_secs(2);

/// What was seen of a mirror that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examination {
    /// How long an answer takes.
    pub latency: Duration,
    /// Bytes a second of a blob; none where it does not tell what it has, or has nothing.
    pub rate: Option<u64>,
    /// What it allows.
    pub allowance: Option<Allowance>,
}

/// Asks a mirror.
///
/// # Errors
/// When it does not answer as registries do, within the limits.
pub async fn examine(mirror: &Mirror, limits: Limits) -> Result<Examination, Failure> {
    let (client, limits) = (Client::new(mirror.url.clone(), mirror.insecure), mirror.limits(limits));
    // The first answer finds out how to talk to it.
    client.send(ask("/v2/", Vec::new()), limits).await?;
    let begun = Instant::now();
    client.send(ask("/v2/", Vec::new()), limits).await?;
    let latency = begun.elapsed();
    // Many registries tell nobody what they have: that is no fault.
    let rate = tokio::time::timeout(limits.first_byte + LONGEST, throughput(&client, limits)).await;
    let rate = rate.ok().and_then(Result::ok).flatten();
    Ok(Examination { latency, rate, allowance: client.allowance() })
}

fn ask(path: &str, scopes: Vec<String>) -> Ask {
    Ask { method: Method::GET, path: path.into(), headers: HeaderMap::new(), body: None, scopes }
}

/// Reads of the largest blob of some image.
async fn throughput(client: &Client, limits: Limits) -> Result<Option<u64>, Failure> {
    #[derive(Deserialize)]
    struct Catalog {
        repositories: Vec<String>,
    }
    let catalog = client.send(ask("/v2/_catalog?n=1", vec!["registry:catalog:*".into()]), limits).await?;
    let catalog = small_body(catalog, 1 << 20, limits.window).await?;
    let catalog: Catalog =
        serde_json::from_slice(&catalog).map_err(|error| Failure::Malformed(error.to_string()))?;
    let Some(repository) = catalog.repositories.first() else { return Ok(None) };
    let Some(tag) = client.tags(repository, limits).await?.into_iter().next() else { return Ok(None) };
    let mut manifest = client.manifest(repository, &Target::Tag(tag), limits).await?;
    if let Some(child) = manifest.children().first() {
        let target = Target::Digest(child.digest.clone());
        manifest = client.manifest(repository, &target, limits).await?;
    }
    read(client, repository, &manifest, limits).await
}

async fn read(
    client: &Client,
    repository: &str,
    manifest: &Manifest,
    limits: Limits,
) -> Result<Option<u64>, Failure> {
    let Some(blob) = manifest.blobs().max_by_key(|blob| blob.size) else { return Ok(None) };
    let begun = Instant::now();
    let (mut response, mut bytes) = (client.blob(repository, &blob.digest, 0, limits).await?, 0);
    while bytes < MOST && begun.elapsed() < LONGEST {
        match response.chunk().await.map_err(|error| Failure::of(&error))? {
            Some(chunk) => bytes += chunk.len() as u64,
            None => break,
        }
    }
    let rate = u128::from(bytes) * 1_000_000 / begun.elapsed().as_micros().max(1);
    Ok(u64::try_from(rate).ok())
}
