//! Reads what BuildKit is about to run, finds the cache mounts that would collide, and mends them.
//!
//! Data flows one way: a reader fills a [`graph::BuildGraph`], [`hazard`] finds what races in it, [`plan`]
//! decides what to change, a writer changes what the reader read. Each module imports only from those below it:
//!
//! | module | holds |
//! |---|---|
//! | `gateway` | the BuildKit frontend: transport, messages, client, options, build |
//! | [`llb`] | BuildKit's build definition: wire format, reader, writer |
//! | [`dockerfile`] | Dockerfile text: instructions, reader |
//! | [`report`] | what people are told, one file a form |
//! | [`options`] | what a user may ask of the frontend |
//! | [`plan`] | policies and the changes that they make |
//! | [`hazard`] | one file a rule |
//! | [`graph`] | the steps, their caches, who is concurrent with whom |

pub mod dockerfile;
pub mod graph;
pub mod hazard;
pub mod llb;
pub mod options;
pub mod plan;
pub mod report;

#[cfg(feature = "gateway")]
pub mod gateway;
