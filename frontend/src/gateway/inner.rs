//! The Dockerfile frontend behind us, and the definitions that replace its own.

use std::collections::HashMap;

use serde::Deserialize;
use tonic::Status;

use super::client::Client;
use super::messages::{CacheOptionsEntry, SolveRequest};
use super::options::Options;

/// Has the Dockerfile frontend behind us answer the build's options: the engine's own, or the image that was asked for.
pub(super) async fn solve(
    client: &Client,
    options: &Options,
    inputs: HashMap<String, Vec<u8>>,
) -> Result<Vec<u8>, Status> {
    let frontend = if options.choices().upstream.is_some() { "gateway.v0" } else { "dockerfile.v0" };
    let request = SolveRequest {
        frontend: frontend.to_owned(),
        frontend_opt: options.for_inner(),
        frontend_inputs: inputs,
        cache_imports: cache_imports(options),
        ..SolveRequest::default()
    };
    client.solve(request).await
}

/// The request for a definition of ours. It inherits nothing from the build's options, so the caches to import are
/// named again.
pub(super) fn definition(definition: Vec<u8>, options: &Options) -> SolveRequest {
    SolveRequest {
        definition: Some(definition),
        cache_imports: cache_imports(options),
        ..SolveRequest::default()
    }
}

/// An entry of `cache-imports`. Go's decoder does not mind the case of the keys.
#[derive(Deserialize)]
struct CacheImport {
    #[serde(alias = "Type")]
    r#type: String,
    #[serde(alias = "Attrs", default)]
    attrs: Option<HashMap<String, String>>,
}

/// Both forms of the option (`frontend/dockerui/config.go`): a JSON list, and the older list of registry references.
/// What cannot be read is left out here; the Dockerfile frontend, which is asked first, complains of it.
fn cache_imports(options: &Options) -> Vec<CacheOptionsEntry> {
    let json = options.get("cache-imports").unwrap_or("null");
    let json: Option<Vec<CacheImport>> = serde_json::from_str(json).unwrap_or_default();
    let entry = |import: CacheImport| CacheOptionsEntry {
        r#type: import.r#type,
        attrs: import.attrs.unwrap_or_default(),
    };
    let references = options.get("cache-from").unwrap_or_default().split(',').filter(|name| !name.is_empty());
    let registry = |reference: &str| CacheOptionsEntry {
        r#type: "registry".to_owned(),
        attrs: HashMap::from([("ref".to_owned(), reference.to_owned())]),
    };
    json.into_iter().flatten().map(entry).chain(references.map(registry)).collect()
}
