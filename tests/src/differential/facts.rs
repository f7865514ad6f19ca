//! What is known about a build: a flat list of names and values, so that comparing is one loop.

use std::collections::BTreeMap;

use serde_json::Value;

/// Names and values. Two that are equal are equal builds, as far as anybody looked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, String>);

impl Facts {
    /// Keeps a fact. A name that is there already gets a number.
    pub fn put(&mut self, name: impl Into<String>, value: impl ToString) {
        let name = name.into();
        let mut numbered = name.clone();
        let mut number = 1;
        while self.0.contains_key(&numbered) {
            number += 1;
            numbered = format!("{name}#{number}");
        }
        self.0.insert(numbered, value.to_string());
    }

    /// Keeps each value of a document under the path to it. What a list holds is called by its `uri`, where it has one,
    /// else by its place; a map from digests is turned round, because digests are what may differ; and places in a text, which come in any
    /// order, are put in one.
    pub fn json(&mut self, name: &str, value: &Value) {
        match value {
            Value::Object(map) if map.is_empty() => self.put(name, "{}"),
            Value::Object(map) if map.keys().all(|key| key.starts_with("sha256:")) => {
                for (digest, of) in map {
                    let of = of.as_str().map_or_else(|| of.to_string(), str::to_owned);
                    self.put(format!("{name}.{of}"), digest);
                }
            }
            Value::Object(map) => {
                map.iter().for_each(|(key, value)| self.json(&format!("{name}.{key}"), value))
            }
            Value::Array(list) if list.is_empty() => self.put(name, "[]"),
            Value::Array(list) => {
                let mut list: Vec<_> = list.iter().collect();
                if list.iter().all(|value| value.get("ranges").is_some()) {
                    list.sort_by_key(|value| value.to_string());
                }
                for (place, value) in list.into_iter().enumerate() {
                    let own = value.get("uri").and_then(Value::as_str);
                    let key = own.map_or_else(|| place.to_string(), str::to_owned);
                    self.json(&format!("{name}[{key}]"), value);
                }
            }
            Value::String(text) => self.put(name, text),
            other => self.put(name, other),
        }
    }

    /// Takes another build's facts in, each under a longer name.
    pub fn append(&mut self, prefix: &str, other: Self) {
        for (name, value) in other.0 {
            self.put(format!("{prefix}.{name}"), value);
        }
    }

    /// Takes another build's facts in.
    pub fn append_all(&mut self, other: Self) {
        other.0.into_iter().for_each(|(name, value)| self.put(name, value));
    }

    /// The same facts with `…` for what follows `prefix`, up to what is no letter and no digit: a name that is new in every
    /// build.
    #[must_use]
    pub fn anonymous(self, prefix: &str) -> Self {
        let anonymous = |text: String| {
            let mut parts = text.split(prefix);
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |text, part| {
                text + prefix + "…" + part.trim_start_matches(|char: char| char.is_ascii_alphanumeric())
            })
        };
        let mut facts = Self::default();
        for (name, value) in self.0 {
            facts.put(anonymous(name), anonymous(value));
        }
        facts
    }

    /// The same facts with each first word of `words` replaced by its second one, in names and values.
    #[must_use]
    pub fn renamed(self, words: &[(String, String)]) -> Self {
        let renamed = |text: String| {
            words.iter().filter(|(from, _)| !from.is_empty()).fold(text, |text, (from, to)| {
                if text.contains(from.as_str()) { text.replace(from, to) } else { text }
            })
        };
        let mut facts = Self::default();
        for (name, value) in self.0 {
            facts.put(renamed(name), renamed(value));
        }
        facts
    }

    /// Those facts whose names are not left out.
    #[must_use]
    pub fn without(mut self, is_left_out: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| !is_left_out(name));
        self
    }

    /// A fact's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(facts: &Facts) -> String {
        facts.iter().map(|(name, value)| format!("{name} = {value}\n")).collect()
    }

    #[test]
    fn a_document_is_flat() {
        let mut facts = Facts::default();
        let digest = format!("sha256:{}", "0".repeat(64));
        facts.json(
            "p",
            &json!({"materials": [{"uri": "pkg:a", "digest": {"sha256": "00"}}], "steps": {digest: "step0"},
                    "empty": {}, "list": ["x", 2, null]}),
        );
        facts.put("p.empty", "again");
        insta::assert_snapshot!(shown(&facts), @"
        p.empty = {}
        p.empty#2 = again
        p.list[0] = x
        p.list[1] = 2
        p.list[2] = null
        p.materials[pkg:a].digest.sha256 = 00
        p.materials[pkg:a].uri = pkg:a
        p.steps.step0 = sha256:0000000000000000000000000000000000000000000000000000000000000000
        ");
    }

    #[test]
    fn names_of_one_build_are_left_out() {
        let mut facts = Facts::default();
        facts.put("[http://session/3jm4.digest]", "http://session/3jm4 and http://session/x");
        facts.put("[other]", "nothing");
        let facts = facts.anonymous("http://session/");
        assert_eq!(
            shown(&facts),
            "[http://session/….digest] = http://session/… and http://session/…\n[other] = nothing\n"
        );
    }

    #[test]
    fn what_has_many_names_gets_one() {
        let mut facts = Facts::default();
        facts.put("at 127.0.0.1:81", "seen at 127.0.0.1:81");
        let facts = facts.renamed(&[("127.0.0.1:81".to_owned(), "@http@".to_owned())]);
        assert_eq!(shown(&facts), "at @http@ = seen at @http@\n");
    }
}
