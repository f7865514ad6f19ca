//! What people are told: one file a form.

mod notice;

pub use notice::notice;
