//! Containers that leave nothing: made for one command, gone with it.

pub mod words;
