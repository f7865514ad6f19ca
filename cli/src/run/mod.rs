//! Containers that leave nothing: made for one command, gone with it. docker runs those of a Docker engine
//! ([`words`] reads its command line, [`volumes`] labels what has no name in it, `unstarted` sees to a docker that waits for nothing,
//! `aftermath` to what it leaves), we those of a containerd ([`containerd`]).

pub(crate) mod aftermath;
pub mod containerd;
pub(crate) mod unstarted;
pub mod volumes;
pub mod words;
