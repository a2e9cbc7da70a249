//! "Did you mean": the known name that a mistyped one is closest to.

/// The closest of `known`, if one is close enough to be meant. Case and underscores count for nothing.
pub(crate) fn closest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 64;
    if written.len() > LONGEST {
        return None;
    }
    let written = folded(written);
    known
        .map(|name| (distance(&written, &folded(name)), name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

fn folded(name: &str) -> Vec<char> {
    name.chars()
        .filter(|letter| *letter != '_')
        .map(|letter| letter.to_ascii_lowercase())
        .collect()
}

/// Insertions, deletions and replacements that turn one into the other.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.iter().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        let mut next = vec![left];
        for (expected, up) in other.iter().zip(row.iter().skip(1)) {
            left = (diagonal + usize::from(letter != expected))
                .min(up + 1)
                .min(left + 1);
            diagonal = *up;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_was_meant() {
        const KNOWN: [&str; 5] = ["hosts", "targetPort", "resolution", "exportTo", "ports"];
        for (written, expected) in [
            ("host", Some("hosts")),
            ("Hosts", Some("hosts")),
            ("target_prt", Some("targetPort")),
            ("resolutoin", Some("resolution")),
            ("exportsTo", Some("exportTo")),
            ("port", Some("ports")),
            ("", None),
            ("selector", None),
            ("spec", None),
        ] {
            assert_eq!(closest(written, KNOWN.into_iter()), expected, "{written}");
        }
        assert_eq!(closest(&"x".repeat(1 << 20), KNOWN.into_iter()), None);
    }
}
