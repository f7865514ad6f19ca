//! `# ci-build:` above an instruction.

use super::instruction::Dockerfile;
use crate::plan::{Comment, CommentError};

/// What the file says of single caches, in file order; [`crate::plan::settle`] tells what that means for a build.
///
/// # Errors
/// A comment of ours cannot be read.
pub fn comments(dockerfile: &Dockerfile) -> Result<Vec<Comment>, CommentError> {
    let mut comments = Vec::new();
    for instruction in dockerfile.instructions() {
        let above = *instruction.lines.start();
        for comment in dockerfile.comments(instruction) {
            comments.extend(Comment::parse(&comment.text, comment.line, above)?);
        }
    }
    Ok(comments)
}
