//! BuildKit's cache in an engine, record by record.

use std::time::Duration;

use bollard::query_parameters::PruneBuildOptions;
use jiff::Timestamp;
use serde::Deserialize;

use super::docker::LONG_PATIENCE;
use super::{Deletion, Engine, Error, raw, time};

/// One record of BuildKit's cache: a layer, a cache mount, a context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRecord {
    /// Its id.
    pub id: String,
    /// The records that it lies upon.
    pub parents: Vec<String>,
    /// What it is, in BuildKit's words.
    pub description: String,
    /// The id of the cache mount, where it is one.
    pub mount: Option<String>,
    /// Whether a build has it right now.
    pub is_in_use: bool,
    /// Its own bytes.
    pub size: u64,
    /// When a build used it last, or when it was made.
    pub used: Timestamp,
}

/// The engine's words, the same ones since 18.09 but for `Parent`, which became `Parents` with version 1.42 of its
/// interface.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    #[serde(rename = "ID")]
    id: String,
    #[serde(default)]
    parent: Option<String>,
    #[serde(default)]
    parents: Option<Vec<String>>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    in_use: bool,
    #[serde(default)]
    size: i64,
    #[serde(default)]
    created_at: Option<String>,
    #[serde(default)]
    last_used_at: Option<String>,
    #[serde(default, rename = "Type")]
    kind: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    #[serde(default)]
    build_cache: Option<Vec<Listed>>,
}

impl Engine {
    /// All records of the build cache. Engines before 23 sum up images and volumes for it too, which takes a while.
    ///
    /// # Errors
    /// When the engine does not list them in time.
    pub async fn build_cache(&self) -> Result<Vec<CacheRecord>, Error> {
        self.build_cache_within(LONG_PATIENCE).await
    }

    async fn build_cache_within(&self, limit: Duration) -> Result<Vec<CacheRecord>, Error> {
        let version = self.docker.client_version();
        // Version 1.52 left the form that all engines so far have.
        let version = (version.major_version, version.minor_version.min(51));
        let path = format!("/v{}.{}/system/df?type=build-cache", version.0, version.1);
        let usage = async {
            let body = raw::get(&self.endpoint, &path).await?;
            Ok::<Usage, bollard::errors::Error>(serde_json::from_slice(&body)?)
        };
        let usage = self.within(limit, usage, "list its build cache").await?;
        Ok(usage.build_cache.unwrap_or_default().into_iter().map(record).collect())
    }

    /// Deletes one record, and gives the bytes that this freed. BuildKit keeps what a build has, and what other records
    /// lie upon: then it is refused.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn delete_cache_record(&self, id: &str) -> Result<Deletion, Error> {
        let options = PruneBuildOptions {
            all: Some(true),
            filters: Some([("id".into(), vec![id.into()])].into()),
            ..PruneBuildOptions::default()
        };
        match self.docker.prune_build(Some(options)).await {
            Ok(pruned) if pruned.caches_deleted.as_ref().is_some_and(|ids| !ids.is_empty()) => {
                Ok(Deletion::Done)
            }
            Ok(_) => Ok(Deletion::Refused("a build or another record needs it".into())),
            answer => self.deletion(answer.map(drop), "delete build cache"),
        }
    }
}

fn record(listed: Listed) -> CacheRecord {
    let used = time(listed.last_used_at.as_deref()).or(time(listed.created_at.as_deref()));
    let parent = listed.parent.filter(|parent| !parent.is_empty());
    CacheRecord {
        mount: (listed.kind == "exec.cachemount").then(|| mount(&listed.description).to_owned()),
        id: listed.id,
        parents: listed.parents.unwrap_or_default().into_iter().chain(parent).collect(),
        description: listed.description,
        is_in_use: listed.in_use,
        size: listed.size.try_into().unwrap_or(0),
        used: used.unwrap_or_default(),
    }
}

/// BuildKit says `cached mount TARGET from … with id "ID"` (solver/llbsolver/mounts/mount.go, `getRefCacheDir`).
fn mount(description: &str) -> &str {
    let id = description.strip_suffix('"').and_then(|text| text.rsplit_once(" with id \""));
    let target = || description.strip_prefix("cached mount ").and_then(|text| text.split(' ').next());
    id.map(|(_, id)| id).or_else(target).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_mounts_are_known_by_their_ids() {
        let id =
            mount("cached mount /root/.m2 from exec /bin/sh -c echo with id \"x\" with id \"/root/.m2\"");
        assert_eq!(id, "/root/.m2");
        assert_eq!(mount("cached mount /c from exec sh"), "/c");
        assert_eq!(mount("anything"), "");
    }

    #[test]
    fn an_engine_that_hangs_is_not_waited_for_without_end() {
        let place = tempfile::tempdir().unwrap();
        let socket = place.path().join("docker.sock");
        let _silent = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let endpoint = super::super::Endpoint::at(format!("unix://{}", socket.display()));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listed = runtime.block_on(async {
            let docker = bollard::Docker::connect_with_host(&endpoint.address).unwrap();
            let engine = Engine { docker, endpoint, ahead: jiff::SignedDuration::ZERO };
            let listed = engine.build_cache_within(Duration::from_millis(50));
            tokio::time::timeout(Duration::from_secs(30), listed).await
        });
        let error = listed.expect("it ends by itself").unwrap_err();
        assert!(matches!(error, Error::Hangs(_)) && error.is_lost(), "{error}");
    }

    #[test]
    fn records_of_old_and_new_engines_are_read() {
        let read = |text| record(serde_json::from_str(text).unwrap());
        let old = read(
            r#"{"ID":"a","Parent":"p","Type":"regular","Description":"x","InUse":false,"Shared":false,"Size":7,
                "CreatedAt":"2025-01-01T00:00:00Z","LastUsedAt":null,"UsageCount":1}"#,
        );
        let new = read(
            r#"{"ID":"a","Parents":["p"],"Type":"regular","Description":"x","InUse":false,"Shared":false,"Size":7,
                "CreatedAt":"2024-01-01T00:00:00Z","LastUsedAt":"2025-01-01T00:00:00Z","UsageCount":1}"#,
        );
        assert_eq!(old, new);
        assert_eq!(old.parents, ["p"]);
    }
}
