//! Executables for tests, a header at a time: the smallest that says what a test needs it to say.

pub(crate) const STATIC: &[u32] = &[PT_LOAD];
pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_INTERP: u32 = 3;

pub(crate) const ET_REL: u16 = 1;
pub(crate) const ET_EXEC: u16 = 2;
pub(crate) const ET_DYN: u16 = 3;

pub(crate) const EM_386: u16 = 3;
pub(crate) const EM_PPC64: u16 = 21;
pub(crate) const EM_S390: u16 = 22;
pub(crate) const EM_ARM: u16 = 40;
pub(crate) const EM_X86_64: u16 = 62;
pub(crate) const EM_AARCH64: u16 = 183;
pub(crate) const EM_RISCV: u16 = 243;

#[derive(Clone, Copy)]
pub(crate) struct Elf {
    pub(crate) machine: u16,
    pub(crate) kind: u16,
    pub(crate) entry: u64,
    pub(crate) wide: bool,
    pub(crate) big_endian: bool,
    pub(crate) segments: &'static [u32],
}

/// A static x86-64 executable.
pub(crate) const AMD64: Elf = Elf {
    machine: EM_X86_64,
    kind: ET_EXEC,
    entry: 0x40_1000,
    wide: true,
    big_endian: false,
    segments: STATIC,
};

impl Elf {
    /// The file: the header, then the table of (empty) segments. Field by field after the ELF specification.
    pub(crate) fn bytes(self) -> Vec<u8> {
        let mut out = Vec::from(*b"\x7fELF");
        out.extend([if self.wide { 2 } else { 1 }, if self.big_endian { 2 } else { 1 }, 1]);
        out.resize(16, 0);
        let (header_size, segment_size) = if self.wide { (64, 56) } else { (52, 32) };
        self.half(&mut out, self.kind);
        self.half(&mut out, self.machine);
        self.word(&mut out, 1); // version
        self.address(&mut out, self.entry);
        self.address(&mut out, header_size); // program headers
        self.address(&mut out, 0); // section headers
        self.word(&mut out, 0); // flags
        self.half(&mut out, header_size as u16);
        self.half(&mut out, segment_size as u16);
        self.half(&mut out, self.segments.len() as u16);
        out.resize(header_size as usize, 0); // no sections
        for kind in self.segments {
            let start = out.len();
            self.word(&mut out, *kind);
            out.resize(start + segment_size, 0);
        }
        out
    }

    fn half(self, out: &mut Vec<u8>, value: u16) {
        out.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn word(self, out: &mut Vec<u8>, value: u32) {
        out.extend(if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn address(self, out: &mut Vec<u8>, value: u64) {
        match (self.wide, self.big_endian) {
            (false, _) => self.word(out, value as u32),
            (true, false) => out.extend(value.to_le_bytes()),
            (true, true) => out.extend(value.to_be_bytes()),
        }
    }
}
