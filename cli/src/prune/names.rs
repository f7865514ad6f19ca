//! The names of an image, which the engine takes from it one by one before it deletes it.

use std::collections::HashSet;

use super::pattern::repository;
use crate::engine::{Deletion, Engine, Error, StoredImage};

/// A name that an image did not have. The containerd store lists one digest for several names, and tells of one for each
/// repository when it is asked for the image: only that of a new repository is new.
pub(super) fn new_name<'a>(listed: &StoredImage, now: &'a StoredImage) -> Option<&'a str> {
    let known: HashSet<&str> =
        listed.names.iter().chain(&listed.digests).map(|name| repository(name)).collect();
    let name = now.names.iter().find(|name| !listed.names.contains(name));
    let digest = || now.digests.iter().find(|digest| !known.contains(repository(digest)));
    name.or_else(digest).map(String::as_str)
}

/// What the engine counts when it asks whether an image has several names: its names, and the digests of repositories in
/// which it has no other name.
pub(super) fn references(image: &StoredImage) -> Vec<&str> {
    let repositories: HashSet<&str> = image.names.iter().map(|name| repository(name)).collect();
    let alone = image.digests.iter().filter(|digest| !repositories.contains(repository(digest)));
    image.names.iter().chain(alone).map(String::as_str).collect()
}

/// Deletes an image with all of its names, or not at all.
pub(super) async fn delete(engine: &Engine, image: StoredImage) -> Result<Deletion, Error> {
    let (id, mut taken) = (image.id.clone(), Vec::new());
    let deletion = take_apart(engine, image, &mut taken).await;
    if matches!(deletion, Ok(Deletion::Done | Deletion::Gone)) {
        return deletion;
    }
    match (give_back(engine, &id, &taken).await, deletion) {
        (None, deletion) => deletion,
        (Some(lost), Ok(Deletion::Refused(why))) => Ok(Deletion::Refused(format!("{why}; {lost}"))),
        // The engine that is lost is what there is to tell of.
        (Some(_), deletion) => deletion,
    }
}

/// Gives an image that stays the names that were taken from it, where nobody else has them by now, and says which it could not
/// give. Only a pull gives a name by a digest: such names are taken last.
async fn give_back(engine: &Engine, id: &str, taken: &[String]) -> Option<String> {
    let mut lost = Vec::new();
    for name in taken {
        let given = match (engine.image_id(name).await, name.rsplit_once(':')) {
            (Ok(None), Some((repository, tag))) if !name.contains('@') => {
                engine.tag(id, repository, tag).await.is_ok()
            }
            (Ok(found), _) => found.is_some(),
            (Err(_), _) => false,
        };
        if !given {
            lost.push(name.as_str());
        }
    }
    (!lost.is_empty()).then(|| format!("it has lost the name {}", lost.join(", ")))
}

/// Takes its names from an image until the engine deletes it by its id, which it does not do, unless by force, as long
/// as there are several. By its id whenever possible: a name could be another image's by now.
async fn take_apart(
    engine: &Engine,
    mut image: StoredImage,
    taken: &mut Vec<String>,
) -> Result<Deletion, Error> {
    loop {
        let [first, _, ..] = &*references(&image) else {
            return engine.delete_image(&image.id).await;
        };
        // Also where the answer is lost.
        taken.push((*first).to_owned());
        match engine.delete_image(first).await? {
            Deletion::Done => {}
            other => return Ok(other),
        }
        let before = references(&image).len();
        match engine.image(&image.id).await? {
            // Else somebody gives it names as fast as we take them.
            Some((now, _)) if references(&now).len() < before => image = now,
            Some(_) => return Ok(Deletion::Refused("it got another name meanwhile".into())),
            None => return Ok(Deletion::Done),
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    fn image(names: &[&str], digests: &[&str]) -> StoredImage {
        StoredImage {
            id: "sha256:1".into(),
            parent: None,
            names: names.iter().map(|&name| name.into()).collect(),
            digests: digests.iter().map(|&name| name.into()).collect(),
            created: Timestamp::UNIX_EPOCH,
            size: 0,
        }
    }

    #[test]
    fn what_an_image_was_not_called_is_seen() {
        let listed = image(&["a:1", "b:1"], &["a@sha256:1"]);
        assert_eq!(new_name(&listed, &image(&["a:1"], &["a@sha256:1", "b@sha256:1"])), None);
        assert_eq!(new_name(&listed, &image(&["a:1", "b:2"], &[])), Some("b:2"));
        assert_eq!(new_name(&listed, &image(&["a:1"], &["c@sha256:1"])), Some("c@sha256:1"));
    }

    #[test]
    fn digests_of_a_named_repository_are_no_names_of_their_own() {
        assert_eq!(references(&image(&["r:5/a:1"], &["r:5/a@sha256:2"])), ["r:5/a:1"]);
        assert_eq!(references(&image(&["a:1"], &["b@sha256:2"])), ["a:1", "b@sha256:2"]);
        assert_eq!(references(&image(&[], &["a@sha256:2"])), ["a@sha256:2"]);
    }
}
