//! `docker buildx build`, mended: its command line read, the Dockerfile found, the way decided, the result told.

mod asked;
mod builder;
mod dockerfile;
mod program;
mod result;
mod steps;
mod waits;
mod watch;
mod way;
pub mod words;

pub use asked::{Asked, SYNTAX};
pub use builder::{Driver, driver};
pub use dockerfile::{Input, Source, companions};
pub use program::buildx;
pub use result::Made;
pub use steps::{Steps, durations};
pub use waits::Wait;
pub use watch::{MARK, Told, Watch};
pub use way::{Frontend, Obstacle, Situation, Way, choose};
