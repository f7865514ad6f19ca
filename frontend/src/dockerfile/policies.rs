//! `# ci-build:` above an instruction.

use std::collections::BTreeMap;

use super::instruction::Dockerfile;
use crate::graph::BuildGraph;
use crate::plan::{self, Comment, CommentError, Policy};

/// What the file says of single caches, in file order; [`plan::settle`] tells what that means for a build.
///
/// # Errors
/// A comment of ours cannot be read.
pub fn comments(dockerfile: &Dockerfile<'_>) -> Result<Vec<Comment>, CommentError> {
    let mut comments = Vec::new();
    for instruction in &dockerfile.instructions {
        for comment in dockerfile.comments(instruction) {
            comments.extend(Comment::parse(comment.text, comment.line, instruction.line)?);
        }
    }
    Ok(comments)
}

/// What the file says of the caches of a build of it, for [`plan::Settings::caches`]. `arguments` are those of the build.
///
/// # Errors
/// A comment of ours cannot be read, is about no cache of the instruction below it, or says other than another one.
pub fn policies(
    dockerfile: &Dockerfile<'_>,
    graph: &BuildGraph,
    arguments: &BTreeMap<String, String>,
) -> Result<BTreeMap<String, Policy>, CommentError> {
    plan::settle(graph, &comments(dockerfile)?, namespace(arguments))
}

/// What stands before every cache's id: a build argument says so.
pub(super) fn namespace(arguments: &BTreeMap<String, String>) -> &str {
    arguments.get("BUILDKIT_CACHE_MOUNT_NS").map(String::as_str).unwrap_or_default()
}
