//! `# ci-build: id=/root/.m2 policy=namespace`: what a file says of one cache.
//!
//! Such a comment stands above a RUN that mounts the cache and holds for it wherever the build uses it. Without `id=` it is
//! about all caches of that RUN.

use std::collections::BTreeMap;

use super::Policy;
use crate::graph::{BuildGraph, CacheKey};

/// What makes a comment one of ours, behind its `#`.
const PREFIX: &str = "ci-build:";

/// A comment of ours, with where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// Its line, from 1.
    pub line: u32,
    /// The first line of the instruction below it.
    pub above: u32,
    /// The cache's id as a Dockerfile has it, variables expanded; none for all caches of the RUN.
    pub id: Option<String>,
    /// How the cache is to be mended.
    pub policy: Policy,
}

/// A comment of ours that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}\n  help: {help}")]
pub struct CommentError {
    /// Its line, from 1.
    pub line: u32,
    /// What, in one line.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl CommentError {
    fn new(line: u32, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { line, message: message.into(), help: help.into() }
    }
}

const OPTIONS: &str = "the options are id=CACHE and policy=NAME, in one word each";

impl Comment {
    /// Reads the `text` of a comment behind its `#`, which stands in `line`, `above` the instruction of that line. None if
    /// it is not one of ours.
    ///
    /// # Errors
    /// A word is no option of ours or stands there twice, or no policy, or one that does not exist.
    pub fn parse(text: &str, line: u32, above: u32) -> Result<Option<Self>, CommentError> {
        let Some(options) = text.trim_start_matches(['#', ' ', '\t']).strip_prefix(PREFIX) else {
            return Ok(None);
        };
        let (mut id, mut policy) = (None, None);
        for word in options.split_whitespace() {
            let (slot, value) = match word.split_once('=') {
                Some(("id", value)) if !value.is_empty() => (&mut id, value),
                Some(("policy", value)) => (&mut policy, value),
                _ => {
                    let message = format!("there is no option {word:?} for a ci-build comment");
                    return Err(CommentError::new(line, message, OPTIONS));
                }
            };
            if slot.replace(value).is_some() {
                let message = format!("this ci-build comment says {word:?} after another of that option");
                return Err(CommentError::new(line, message, "write a comment for each cache"));
            }
        }
        let policy = policy
            .ok_or_else(|| CommentError::new(line, "this ci-build comment names no policy", OPTIONS))?;
        let policy = policy.parse::<Policy>().map_err(|error| {
            let message = error.to_string();
            let (message, help) = message.split_once("\n  help: ").unwrap_or((&message, OPTIONS));
            CommentError::new(line, message, help)
        })?;
        Ok(Some(Self { line, above, id: id.map(str::to_owned), policy }))
    }
}

/// The policies of single caches, by [`CacheKey::id`], for [`super::Settings::caches`]. `namespace` is the build's
/// `BUILDKIT_CACHE_MOUNT_NS`. What stands above an instruction that is not built says nothing.
///
/// # Errors
/// The RUN below a comment does not mount the cache that it names, or none at all; or two comments want different things
/// of one cache.
pub fn settle(
    graph: &BuildGraph,
    comments: &[Comment],
    namespace: &str,
) -> Result<BTreeMap<String, Policy>, CommentError> {
    let mut ids = BTreeMap::<u32, Vec<&CacheKey>>::new();
    if !comments.is_empty() {
        for (_, step) in graph.steps() {
            let Some(location) = &step.location else { continue };
            ids.entry(location.line).or_default().extend(step.caches().map(|(_, _, cache)| &cache.key));
        }
    }
    let mut settled = BTreeMap::<String, &Comment>::new();
    for comment in comments {
        let Some(mounted) = ids.get(&comment.above) else { continue };
        let mut mounted: Vec<_> = mounted.iter().map(|key| key.id.as_str()).collect();
        mounted.sort_unstable();
        mounted.dedup();
        if mounted.is_empty() {
            let message = format!("the instruction in line {} mounts no cache", comment.above);
            let help = "write the comment above a RUN that mounts the cache";
            return Err(CommentError::new(comment.line, message, help));
        }
        let all = mounted.clone();
        if let Some(id) = &comment.id {
            let wanted = format!("{namespace}/{id}");
            // A text that was rewritten has the names that it was given there, behind the user's.
            mounted.retain(|id| {
                id.strip_prefix(&*wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
            });
            if mounted.is_empty() {
                let message = format!("the RUN in line {} mounts no cache {id:?}", comment.above);
                let all: Vec<_> = all.iter().map(|id| CacheKey::new(*id).to_string()).collect();
                let help = format!("its caches are {}; leave id= out for all of them", all.join(", "));
                return Err(CommentError::new(comment.line, message, help));
            }
        }
        for id in mounted {
            let other = settled.entry(id.to_owned()).or_insert(comment);
            if other.policy != comment.policy {
                let message = format!(
                    "the cache {} is to have policy={} here and policy={} in line {}",
                    CacheKey::new(id),
                    comment.policy,
                    other.policy,
                    other.line,
                );
                let help = "a policy holds for a cache wherever the build uses it: keep one of the two";
                return Err(CommentError::new(comment.line, message, help));
            }
        }
    }
    Ok(settled.into_iter().map(|(id, comment)| (id, comment.policy)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_in_any_order() {
        let read = |text| Comment::parse(text, 3, 4).unwrap().map(|comment| (comment.id, comment.policy));
        let m2 = Some("/root/.m2".to_owned());
        assert_eq!(read("ci-build: id=/root/.m2 policy=namespace"), Some((m2.clone(), Policy::Namespace)));
        assert_eq!(read("ci-build:policy=off\tid=/root/.m2"), Some((m2, Policy::Off)));
        assert_eq!(read("# ci-build: policy=prime"), Some((None, Policy::Prime)));
        assert_eq!(read("ci-build is a tool"), None);
        assert_eq!(read("check=skip=all"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn what_makes_no_sense_is_named_with_what_does() {
        let error = |text| Comment::parse(text, 3, 4).unwrap_err().to_string();
        insta::assert_snapshot!(error("ci-build: id=a policy=fast"), @r#"
        there is no policy "fast"
          help: the policies are auto, lock, order, prime, namespace, off
        "#);
        insta::assert_snapshot!(error("ci-build: cache=a policy=lock"), @r#"
        there is no option "cache=a" for a ci-build comment
          help: the options are id=CACHE and policy=NAME, in one word each
        "#);
        insta::assert_snapshot!(error("ci-build: id= policy=lock"), @r#"
        there is no option "id=" for a ci-build comment
          help: the options are id=CACHE and policy=NAME, in one word each
        "#);
        insta::assert_snapshot!(error("ci-build: id=a id=b policy=lock"), @r#"
        this ci-build comment says "id=b" after another of that option
          help: write a comment for each cache
        "#);
        insta::assert_snapshot!(error("ci-build: id=a"), @r"
        this ci-build comment names no policy
          help: the options are id=CACHE and policy=NAME, in one word each
        ");
        insta::assert_snapshot!(error("ci-build:"), @r"
        this ci-build comment names no policy
          help: the options are id=CACHE and policy=NAME, in one word each
        ");
    }
}
