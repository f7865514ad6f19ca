//! The texts that the ops of a build stand in. A bake file's target that another one starts from, and a named context that
//! is built, bring texts of their own, which are mostly called `Dockerfile` as well: here each has a name of its own.

use std::collections::{HashMap, HashSet};

use prost::Message;

use super::definition::Definition;
use super::message;

/// A text that ops stand in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceText {
    /// What the build calls the file; with a number where it calls several so, the build's own excepted: `Dockerfile (2)`.
    pub filename: String,
    /// Its bytes, which need not be text.
    pub data: Vec<u8>,
}

/// All texts of a build.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Texts {
    texts: Vec<SourceText>,
    /// For each definition, which text each of its sources is.
    places: Vec<Vec<Option<usize>>>,
}

impl Texts {
    /// Those of the definitions of one build. A source that cannot be read is none.
    #[must_use]
    pub fn of(definitions: &[Definition]) -> Self {
        let own =
            definitions.iter().enumerate().find_map(|(place, definition)| Some((place, definition.own()?)));
        let rest = definitions.iter().enumerate().flat_map(|(place, definition)| {
            (0..definition.sources().len()).map(move |source| (place, source))
        });
        let mut all = Self {
            texts: Vec::new(),
            places: definitions.iter().map(|definition| vec![None; definition.sources().len()]).collect(),
        };
        let mut known = HashMap::new();
        let mut names = HashSet::new();
        for (definition, source) in own.into_iter().chain(rest) {
            let encoded = definitions[definition].sources().get(source);
            let Some(Ok(text)) = encoded.map(|text| message::SourceText::decode(&**text)) else { continue };
            let message::SourceText { filename, data } = text;
            let place = *known.entry((filename, data)).or_insert_with_key(|(filename, data)| {
                let numbered = (2..).map(|number| format!("{filename} ({number})"));
                let mut free = std::iter::once(filename.clone()).chain(numbered);
                let filename = free.find(|name| names.insert(name.clone()));
                all.texts.push(SourceText {
                    filename: filename.expect("there are numbers enough"),
                    data: data.clone(),
                });
                all.texts.len() - 1
            });
            all.places[definition][source] = Some(place);
        }
        all
    }

    /// Each of them, the build's own first: that is the one of the last op that stands anywhere. What a build starts from,
    /// which may be of another text, comes before it.
    pub fn iter(&self) -> impl Iterator<Item = &SourceText> {
        self.texts.iter()
    }

    /// What a source is called, by the place of its definition and its place there.
    #[must_use]
    pub fn name(&self, definition: usize, source: usize) -> Option<&str> {
        let place = *self.places.get(definition)?.get(source)?;
        Some(&self.texts[place?].filename)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llb::Digest;
    use crate::llb::wire::encode_bytes;

    /// A definition of an op a source, each in line 1 of it.
    fn definition(sources: &[(&str, &str)]) -> Definition {
        let op = |(name, text): &(&str, &str)| encode_bytes(99, format!("{name}{text}").as_bytes());
        let ops: Vec<_> = sources.iter().map(op).collect();
        let mut bytes: Vec<u8> = ops.iter().flat_map(|op| encode_bytes(1, op)).collect();
        let mut source = Vec::new();
        for (place, op) in ops.iter().enumerate() {
            let index = super::super::wire::encode_varint(1, place as u64);
            let location = encode_bytes(1, &index);
            let entry = [encode_bytes(1, Digest::of(op).as_str().as_bytes()), encode_bytes(2, &location)];
            source.extend(encode_bytes(1, &entry.concat()));
        }
        for (name, text) in sources {
            let info = [encode_bytes(1, name.as_bytes()), encode_bytes(2, text.as_bytes())].concat();
            source.extend(encode_bytes(2, &info));
        }
        bytes.extend(encode_bytes(3, &source));
        Definition::parse(bytes).unwrap()
    }

    #[test]
    fn each_text_has_a_name_of_its_own() {
        let one = definition(&[("Dockerfile", "base"), ("Dockerfile", "own")]);
        let other = definition(&[("Dockerfile", "own"), ("other", "own"), ("Dockerfile", "third")]);
        let texts = Texts::of(&[one, other]);
        let shown: Vec<_> = texts.iter().map(|text| (&*text.filename, &*text.data)).collect();
        assert_eq!(
            shown,
            [
                ("Dockerfile", &b"own"[..]),
                ("Dockerfile (2)", b"base"),
                ("other", b"own"),
                ("Dockerfile (3)", b"third")
            ]
        );
        assert_eq!(texts.name(0, 0), Some("Dockerfile (2)"));
        assert_eq!(texts.name(0, 1), Some("Dockerfile"));
        assert_eq!(texts.name(1, 0), Some("Dockerfile"));
        assert_eq!((texts.name(0, 2), texts.name(2, 0)), (None, None));
        assert_eq!(Texts::of(&[]), Texts::default());
    }
}
