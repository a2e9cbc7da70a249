//! Findings that nobody wants to hear of: `IST0101=VirtualService reviews.shop`.

use super::lines::Line;

/// A code for some objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suppression {
    code: String,
    /// `KIND NAME.NAMESPACE`, where `*` stands for any text.
    object: String,
}

impl Suppression {
    /// Reads `CODE=KIND NAME.NAMESPACE`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let parts = text.split_once('=');
        let Some((code, object)) =
            parts.filter(|(code, object)| !code.is_empty() && !object.is_empty())
        else {
            return Err(
                "write CODE=KIND NAME.NAMESPACE, such as IST0101=VirtualService reviews.shop"
                    .to_owned(),
            );
        };
        Ok(Self {
            code: code.trim().to_owned(),
            object: object.trim().to_owned(),
        })
    }

    /// Whether a finding is one of them.
    pub(super) fn is_for(&self, line: &Line) -> bool {
        let Some(named) = &line.message.object else {
            return false;
        };
        let object = format!("{} {}.{}", named.kind, named.name, named.namespace);
        self.code == line.code.id() && fits(&self.object, &object)
    }
}

/// Whether `pattern`, in which `*` stands for any text, fits all of `text`.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(rest) = text.strip_prefix(before) else {
        return false;
    };
    let starts = rest.char_indices().map(|(at, _)| at).chain([rest.len()]);
    let mut rests = starts.filter_map(|at| rest.get(at..));
    rests.any(|rest| fits(after, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, expected) in [
            ("Gateway a.b", true),
            ("Gateway *.b", true),
            ("Gateway *", true),
            ("*", true),
            ("*a*b", true),
            ("Gateway a.c", false),
            ("Gateway", false),
            ("*c", false),
        ] {
            assert_eq!(fits(pattern, "Gateway a.b"), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_suppression_is_refused() {
        assert!(Suppression::parse("IST0101").is_err());
        assert!(Suppression::parse("IST0101=").is_err());
        assert!(Suppression::parse("=Gateway a.b").is_err());
        assert_eq!(Suppression::parse("A=B c.d").unwrap().object, "B c.d");
    }
}
