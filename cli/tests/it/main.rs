//! What the command's parts promise each other, and what its users read.

#[cfg(test)]
mod check;
#[cfg(test)]
mod elf;
#[cfg(test)]
mod frontend;
#[cfg(test)]
mod image;
#[cfg(test)]
mod lock;
#[cfg(test)]
mod prune;
#[cfg(test)]
mod rewrite;
