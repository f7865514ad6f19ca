//! LLB, BuildKit's low-level build definition: read with types, changed by splicing.

mod definition;
mod keep;
mod message;
mod ours;
mod read;
mod texts;
pub mod wire;
mod write;

pub use definition::{Definition, DefinitionError, Digest, VertexSource};
pub use keep::keep_caches;
pub use read::{ReadError, read, step_called};
pub use texts::{SourceText, Texts};
pub use write::{PRIME, PrimerImage, WriteError, Written, write};
