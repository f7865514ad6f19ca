//! What people and scripts are told: one file a form, each a pure function from data to text.

mod advice;
pub mod check;
mod escape;
mod notice;
mod options;
mod place;
pub mod plan;
mod problem;
mod rule;

pub use notice::{Notice, notices, released, told};
pub use options::options;
pub use problem::problem;
pub use rule::rule;
