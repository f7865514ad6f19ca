//! Values of flags and options, as Go's `strconv`, `time` and Docker's `go-units` read them.

/// `strconv.ParseBool`.
pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Some(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Some(false),
        _ => None,
    }
}

/// `strconv.ParseUint` of 32 bits: digits and nothing else.
pub(super) fn unsigned(text: &str, radix: u32) -> Option<u32> {
    let is_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if is_digits { u32::from_str_radix(text, radix).ok() } else { None }
}

/// `time.ParseDuration`, in nanoseconds: `1h30m`, `1.5s`.
pub(super) fn duration(text: &str) -> Option<i64> {
    const LIMIT: u64 = 1 << 63;
    let (is_negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let (whole, behind) = digits(rest);
        rest = behind;
        let mut fraction = "";
        if let Some(behind) = rest.strip_prefix('.') {
            (fraction, rest) = digits(behind);
        }
        if whole.is_empty() && fraction.is_empty() {
            return None;
        }
        let end = rest.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(rest.len());
        let unit = unit(&rest[..end])?;
        rest = &rest[end..];
        let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
        // At most 18 digits are exact, and more than that is less than a nanosecond.
        let fraction = &fraction[..fraction.len().min(18)];
        let part = if fraction.is_empty() {
            0
        } else {
            let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
            u64::try_from(u128::from(fraction.parse::<u64>().ok()?) * u128::from(unit) / scale).ok()?
        };
        total =
            whole.checked_mul(unit)?.checked_add(part)?.checked_add(total).filter(|&total| total <= LIMIT)?;
    }
    if is_negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

fn unit(name: &str) -> Option<u64> {
    Some(match name {
        "ns" => 1,
        // The micro sign and the Greek letter.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

/// `units.RAMInBytes`: `64m`, `1.5 GiB`.
pub(super) fn size(text: &str) -> Option<i64> {
    let last = text.rfind(|c: char| c.is_ascii_digit() || matches!(c, '.' | ' '))?;
    let suffix = text[last + 1..].to_lowercase();
    let number = if text.as_bytes()[last] == b' ' { &text[..last] } else { &text[..=last] };
    let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    let power = match suffix.as_bytes() {
        [] | [b'b'] => 0,
        [unit] | [unit, b'b'] | [unit, b'i', b'b'] => {
            1 + i32::try_from(b"kmgtp".iter().position(|known| known == unit)?).ok()?
        }
        _ => return None,
    };
    // Saturates where Go's conversion says nothing.
    Some((number * 1024_f64.powi(power)) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let cases = [
            ("0", Some(0)),
            ("1h2m3s", Some(3_723_000_000_000)),
            ("1.5s", Some(1_500_000_000)),
            (".5ms", Some(500_000)),
            ("-1us", Some(-1_000)),
            ("+3\u{b5}s", Some(3_000)),
            ("", None),
            ("1", None),
            ("1x", None),
            (".s", None),
            ("1 s", None),
            ("9223372036854775807ns", Some(i64::MAX)),
            ("9223372036854775808ns", None),
            ("9999999h", None),
        ];
        for (text, expected) in cases {
            assert_eq!(duration(text), expected, "{text}");
        }
    }

    #[test]
    fn sizes_are_those_of_docker() {
        let cases = [
            ("64", Some(64)),
            ("64b", Some(64)),
            ("1k", Some(1 << 10)),
            ("1.5 GiB", Some(3 << 29)),
            ("2MB", Some(2 << 20)),
            ("", None),
            ("k", None),
            ("-1", None),
            ("1kk", None),
            ("1bb", None),
            ("1  k", None),
        ];
        for (text, expected) in cases {
            assert_eq!(size(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_have_no_signs() {
        assert_eq!(unsigned("0755", 8), Some(0o755));
        assert_eq!(unsigned("4294967296", 10), None);
        assert_eq!(unsigned("+1", 10), None);
        assert_eq!(unsigned("8", 8), None);
        assert_eq!(unsigned("", 10), None);
    }
}
