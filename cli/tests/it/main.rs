//! What the command's parts promise each other, and what its users read.

#[cfg(test)]
mod build;
#[cfg(test)]
mod check;
#[cfg(test)]
mod config;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod elf;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod fetch;
#[cfg(test)]
mod frontend;
#[cfg(test)]
mod help;
#[cfg(test)]
mod image;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod mirror;
#[cfg(test)]
mod mirrors;
#[cfg(test)]
mod prune;
#[cfg(test)]
mod pull;
#[cfg(test)]
mod recover;
#[cfg(test)]
mod rewrite;
#[cfg(test)]
mod style;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod telemetry;
