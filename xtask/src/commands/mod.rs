//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod capture;
pub(crate) mod corpus;
pub(crate) mod demo;
pub(crate) mod docs;
pub(crate) mod engines;
pub(crate) mod locks;
pub(crate) mod package;
pub(crate) mod program;
pub(crate) mod test;
