//! Texts that stand for something else: names of gRPC's statuses, bytes in base64.

/// The statuses of gRPC by number.
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// The number of a status that is written by name or number.
pub(crate) fn grpc_status(text: &str) -> Option<u32> {
    let mut numbers = (0..).zip(GRPC);
    let found = numbers.find(|(number, name)| *name == text || number.to_string() == text);
    found.map(|(number, _)| number)
}

/// What base64 stands for, in its standard or its URL alphabet, padded or not: as protobuf's JSON form reads it.
pub(crate) fn bytes(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if text.len() - digits.len() > 2 || digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    let (mut held, mut bits) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            _ => return None,
        };
        held = (held << 6) | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.extend(u8::try_from((held >> bits) & 0xff));
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_by_name_and_number() {
        for (text, expected) in [
            ("OK", Some(0)),
            ("UNAVAILABLE", Some(14)),
            ("14", Some(14)),
            ("UNAUTHENTICATED", Some(16)),
            ("17", None),
            ("unavailable", None),
            ("", None),
        ] {
            assert_eq!(grpc_status(text), expected, "{text}");
        }
    }

    #[test]
    fn bytes_in_all_spellings() {
        for (text, expected) in [
            ("", Some(&b""[..])),
            ("Zg==", Some(b"f")),
            ("Zg", Some(b"f")),
            ("Zm8=", Some(b"fo")),
            ("Zm9v", Some(b"foo")),
            ("Zm9vYg", Some(b"foob")),
            ("-_8=", Some(&[0xfb, 0xff])),
            ("+/8=", Some(&[0xfb, 0xff])),
            ("Zm9vY", None),
            ("Zm 9", None),
            ("Zg===", None),
        ] {
            assert_eq!(bytes(text).as_deref(), expected, "{text}");
        }
    }
}
