//! Containers that leave nothing: made for one command, gone with it. docker runs those of a Docker engine
//! ([`words`] reads its command line), we those of a containerd ([`containerd`]).

pub mod containerd;
pub mod words;
