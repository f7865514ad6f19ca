//! LLB, BuildKit's low-level build definition: read with types, changed by splicing.

mod definition;
mod message;
mod ours;
mod read;
pub mod wire;
mod write;

pub use definition::{Definition, DefinitionError, Digest, VertexSource};
pub use read::{ReadError, read};
pub use write::{PRIME, PrimerImage, WriteError, Written, write};
