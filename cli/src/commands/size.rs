//! Sizes as people write them: `500MB`, `50GB`, `1.5TiB`.

use bytesize::ByteSize;

/// Reads a size, in bytes. A number alone is not taken, since tools differ in what it means.
pub(super) fn parse(text: &str) -> Result<u64, String> {
    const HELP: &str = "write it with its unit, such as 500MB, 50GB or 1.5TiB";
    if text.trim() == "0" {
        return Ok(0);
    }
    if text.trim_end().ends_with(|c: char| c.is_ascii_digit()) {
        return Err(HELP.into());
    }
    text.parse().map(|size: ByteSize| size.as_u64()).map_err(|_| HELP.into())
}

/// A size as people read it.
pub(super) fn shown(bytes: u64) -> String {
    ByteSize(bytes).display().iec().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!(parse("500MB"), Ok(500_000_000));
        assert_eq!(parse("50 GB"), Ok(50_000_000_000));
        assert_eq!(parse("1.5GiB"), Ok(1_610_612_736));
        assert_eq!(parse("0"), Ok(0));
        insta::assert_snapshot!(parse("50").unwrap_err(), @"write it with its unit, such as 500MB, 50GB or 1.5TiB");
        assert!(parse("much").is_err());
        assert_eq!(shown(1_500_000), "1.4 MiB");
    }
}
