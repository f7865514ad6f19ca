//! Sizes as people write them: `512KiB`, `50GB`.

use bytesize::ByteSize;

/// Reads a size in bytes. `GB` is 10⁹ bytes, `GiB` 2³⁰; a number alone counts bytes.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    let size: Result<ByteSize, _> = text.trim().parse();
    size.map(|size| size.as_u64()).map_err(|_| "write it with its unit, such as 512KiB, 10MB or 50GiB".into())
}

/// A size as people read it.
pub(super) fn shown(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown_as_people_do() {
        assert_eq!(parse("1MiB"), Ok(1 << 20));
        assert_eq!(parse("50GB"), Ok(50_000_000_000));
        assert_eq!(parse("0"), Ok(0));
        assert!(parse("much").is_err());
        assert_eq!(shown(1_500_000), "1.4 MiB");
    }
}
