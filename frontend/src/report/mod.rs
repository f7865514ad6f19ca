//! What people and scripts are told: one file a form, each a pure function from data to text.

mod advice;
pub mod check;
mod escape;
mod notice;
mod place;
pub mod plan;
mod problem;
mod rule;

pub use notice::{Notice, notices, told};
pub use problem::problem;
pub use rule::rule;
