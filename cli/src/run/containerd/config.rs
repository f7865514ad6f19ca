//! What an image says of itself (OCI image specification 1.1), as far as a run needs it. Pure.

use serde::Deserialize;

use crate::image::Digest;

/// An image's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(super) struct Config {
    /// What runs in it, and how.
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) config: Defaults,
    rootfs: RootFs,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
struct RootFs {
    #[serde(default, deserialize_with = "digests")]
    diff_ids: Vec<Digest>,
}

fn digests<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
    let texts: Vec<String> = or_nothing(deserializer)?;
    texts.into_iter().map(|text| text.parse().map_err(serde::de::Error::custom)).collect()
}

/// `null` is what some tools write where there is nothing.
fn or_nothing<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: Default + Deserialize<'de>,
    D: serde::Deserializer<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// What counts where the caller says nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(super) struct Defaults {
    pub(super) user: Option<String>,
    pub(super) env: Option<Vec<String>>,
    pub(super) entrypoint: Option<Vec<String>>,
    pub(super) cmd: Option<Vec<String>>,
    pub(super) working_dir: Option<String>,
}

impl Config {
    /// The digests of its layers when unpacked, the lowest first.
    pub(super) fn layers(&self) -> &[Digest] {
        &self.rootfs.diff_ids
    }

    /// What its layers are called in a snapshotter, the lowest first: each by all that are below it.
    pub(super) fn chain(&self) -> Vec<String> {
        let mut chain: Vec<String> = Vec::new();
        for layer in self.layers() {
            chain.push(match chain.last() {
                None => layer.to_string(),
                Some(below) => Digest::of(format!("{below} {layer}").as_bytes()).to_string(),
            });
        }
        chain
    }

    /// What runs: the entry point with the caller's words, or the image's own, behind it.
    pub(super) fn words(&self, entrypoint: Option<&str>, words: &[String]) -> Vec<String> {
        let owned = |words: &Option<Vec<String>>| words.clone().unwrap_or_default();
        match (entrypoint, words) {
            // Whoever names the entry point means none of the image's words.
            (Some(""), words) => words.to_vec(),
            (Some(program), words) => [&[program.to_owned()], words].concat(),
            (None, []) => [owned(&self.config.entrypoint), owned(&self.config.cmd)].concat(),
            (None, words) => [&owned(&self.config.entrypoint), words].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn layers_are_called_by_all_below_them() {
        let digest = |digit: &str| format!("sha256:{}", digit.repeat(64));
        let [a, b] = [digest("a"), digest("b")];
        let text = format!(r#"{{"rootfs":{{"type":"layers","diff_ids":["{a}","{b}"]}}}}"#);
        let chain = config(&text).chain();
        let both = Digest::of(format!("{a} {b}").as_bytes()).to_string();
        assert_eq!(chain, [a, both]);
        for scratch in [r#"{"rootfs":{}}"#, r#"{"rootfs":{"diff_ids":null},"config":null}"#] {
            assert!(config(scratch).chain().is_empty(), "an image from scratch");
        }
        let malformed = r#"{"rootfs":{"diff_ids":["../../etc"]}}"#;
        assert!(serde_json::from_str::<Config>(malformed).is_err());
    }

    #[test]
    fn the_callers_words_take_the_place_of_the_images() {
        let image = config(r#"{"rootfs":{},"config":{"Entrypoint":["e"],"Cmd":["c"],"User":null}}"#);
        let words = |entrypoint, words: &[&str]| {
            let words: Vec<String> = words.iter().map(|word| (*word).into()).collect();
            image.words(entrypoint, &words).join(" ")
        };
        assert_eq!(words(None, &[]), "e c");
        assert_eq!(words(None, &["a"]), "e a");
        assert_eq!(words(Some("p"), &[]), "p");
        assert_eq!(words(Some("p"), &["a"]), "p a");
        assert_eq!(words(Some(""), &["a"]), "a");
        assert!(config(r#"{"rootfs":{}}"#).words(None, &[]).is_empty());
    }
}
