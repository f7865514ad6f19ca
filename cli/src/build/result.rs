//! What a build has made, as buildx's metadata file tells it.

use serde_json::Value;

/// An image that a build has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    /// What it is called; an image may have several names, or none.
    pub names: Vec<String>,
    /// What an engine may know it by: the digests of its config and of its manifest.
    pub digests: Vec<String>,
    /// The build as the builder calls it, where buildx tells it (0.10).
    pub reference: Option<String>,
}

impl Made {
    /// Reads a metadata file; what it does not tell is not there. The tags that were asked for are its names, else those of
    /// an output.
    pub fn read(metadata: &[u8], tags: &[String]) -> Self {
        let metadata: Value = serde_json::from_slice(metadata).unwrap_or_default();
        let text = |field: &str| metadata[field].as_str().filter(|text| !text.is_empty());
        let digests = ["containerimage.config.digest", "containerimage.digest"].into_iter().filter_map(text);
        let told = || {
            text("image.name")
                .into_iter()
                .flat_map(|names| names.split(','))
                .map(|name| name.trim().to_owned())
        };
        // `builder/node/reference`.
        let reference = text("buildx.build.ref").and_then(|path| path.rsplit('/').next());
        Self {
            names: if tags.is_empty() { told().collect() } else { tags.to_vec() },
            digests: digests.map(str::to_owned).collect(),
            reference: reference.map(str::to_owned),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_digests_are_in_the_metadata() {
        let metadata = br#"{"buildx.build.ref":"b/n/r","containerimage.config.digest":"sha256:c",
            "containerimage.digest":"sha256:m","image.name":"docker.io/library/a,x/b:1"}"#;
        let made = Made::read(metadata, &[]);
        assert_eq!(made.names, ["docker.io/library/a", "x/b:1"]);
        assert_eq!(made.digests, ["sha256:c", "sha256:m"]);
        assert_eq!(made.reference.unwrap(), "r");
        assert_eq!(Made::read(metadata, &["a".into()]).names, ["a"]);
        assert_eq!(Made::read(b"{}", &[]), Made::default(), "files, say");
        assert_eq!(Made::read(b"not JSON", &[]), Made::default());
    }
}
