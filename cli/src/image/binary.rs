//! What an executable's header says: the machine, and whether it runs without libraries.

use std::fmt;

use elf::abi;
use elf::endian::AnyEndian;
use elf::file::Class;
use elf::{ElfBytes, ParseError};

/// A processor architecture by the name that images use, which is Go's (GOARCH).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Architecture(&'static str);

/// What the ELF header says of the machine, and the architecture it means. 32-bit ARM is missing: which of
/// its versions a binary needs is not in the header.
const MACHINES: &[((u16, Class, AnyEndian), &str)] = &[
    ((abi::EM_X86_64, Class::ELF64, AnyEndian::Little), "amd64"),
    ((abi::EM_AARCH64, Class::ELF64, AnyEndian::Little), "arm64"),
    ((abi::EM_386, Class::ELF32, AnyEndian::Little), "386"),
    ((abi::EM_PPC64, Class::ELF64, AnyEndian::Little), "ppc64le"),
    ((abi::EM_RISCV, Class::ELF64, AnyEndian::Little), "riscv64"),
    ((abi::EM_S390, Class::ELF64, AnyEndian::Big), "s390x"),
];

/// Why bytes cannot be the frontend.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// There is no whole ELF header and program header table.
    #[error("it is not an ELF binary")]
    NotElf(#[from] ParseError),
    /// An object file, a shared library or a core dump.
    #[error("it is an ELF file, but not an executable")]
    NotExecutable,
    /// It asks for an interpreter or for shared libraries.
    #[error("it is linked dynamically")]
    Dynamic,
    /// A machine that images have no name for here.
    #[error("its machine (ELF number {number}, {bits} bits, {order} endian) is not one of {}", known())]
    UnknownMachine {
        /// `e_machine` of the header.
        number: u16,
        /// 32 or 64.
        bits: u8,
        /// `little` or `big`.
        order: &'static str,
    },
}

impl Architecture {
    /// The name that images use, such as `amd64`.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The architecture of a static executable.
    ///
    /// # Errors
    /// When the bytes are anything else.
    pub fn of_binary(bytes: &[u8]) -> Result<Self, BinaryError> {
        let file = ElfBytes::<AnyEndian>::minimal_parse(bytes)?;
        let header = &file.ehdr;
        // A static position-independent executable is ET_DYN, like a library, but has an entry point.
        if !matches!(header.e_type, abi::ET_EXEC | abi::ET_DYN) || header.e_entry == 0 {
            return Err(BinaryError::NotExecutable);
        }
        let interpreted =
            file.segments().into_iter().flatten().any(|segment| segment.p_type == abi::PT_INTERP);
        let needs_libraries =
            file.dynamic()?.into_iter().flatten().any(|entry| entry.d_tag == abi::DT_NEEDED);
        if interpreted || needs_libraries {
            return Err(BinaryError::Dynamic);
        }
        let machine = (header.e_machine, header.class, header.endianness);
        let known = MACHINES.iter().find(|(known, _)| *known == machine);
        known.map(|(_, name)| Self(name)).ok_or_else(|| unknown(machine))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

fn unknown((number, class, endianness): (u16, Class, AnyEndian)) -> BinaryError {
    let bits = if class == Class::ELF64 { 64 } else { 32 };
    let order = if endianness == AnyEndian::Big { "big" } else { "little" };
    BinaryError::UnknownMachine { number, bits, order }
}

fn known() -> String {
    MACHINES.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
}
