//! Texts, numbers, durations and enum values by the rules of protobuf's JSON form.

use std::time::Duration;

use serde::{Serialize, Serializer};
use serde_json::{Number, Value};

use super::decode::Decode;
use super::suggest::closest;
use crate::rules::at::At;
use crate::rules::schema::Schema;

/// A value of an enum: its name, its number, what it is.
pub(crate) type Named<T> = (&'static str, u32, T);

/// Reads an enum value by name or number.
pub(crate) fn one_of<T: Copy + Default>(value: &Value, at: &At<'_>, all: &[Named<T>]) -> T {
    if at.asks(|| Schema::OneOf(all.iter().map(|(name, ..)| *name).collect())) {
        return T::default();
    }
    let found = match value {
        Value::String(text) => all.iter().find(|(name, ..)| name == text),
        Value::Number(number) => all
            .iter()
            .find(|(_, known, _)| whole(number) == Some(u64::from(*known))),
        _ => None,
    };
    if let Some((.., known)) = found {
        return *known;
    }
    let names: Vec<_> = all.iter().map(|(name, ..)| *name).collect();
    let hint = match value
        .as_str()
        .and_then(|text| closest(text, names.iter().copied()))
    {
        Some(name) => format!("did you mean {name}?"),
        None => format!("one of {}", names.join(", ")),
    };
    at.error_hint(format!("{} is not known here", describe(value)), hint);
    T::default()
}

impl Decode for String {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        if at.asks(|| Schema::Text) {
            return Self::new();
        }
        match value {
            Value::String(text) => return text.clone(),
            Value::Bool(_) | Value::Number(_) => {
                let what = format!("expected a text, found {}", describe(value));
                at.error_hint(what, format!("put it in quotes: \"{value}\""));
            }
            _ => at.error(format!("expected a text, found {}", describe(value))),
        }
        Self::new()
    }
}

impl Decode for bool {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        if at.asks(|| Schema::Bool) {
            return false;
        }
        value.as_bool().unwrap_or_else(|| {
            at.error(format!("expected true or false, found {}", describe(value)));
            false
        })
    }
}

impl Decode for u32 {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        if at.asks(|| Schema::Whole(0, Self::MAX.into())) {
            return 0;
        }
        let number = match value {
            Value::Number(number) => Some(number.clone()),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        let Some(number) = number else {
            at.error(format!(
                "expected a whole number, found {}",
                describe(value)
            ));
            return 0;
        };
        match whole(&number).map(Self::try_from) {
            Some(Ok(number)) => number,
            _ => {
                at.error(format!(
                    "{} is not a whole number from 0 to {}",
                    excerpt(&number.to_string()),
                    Self::MAX
                ));
                0
            }
        }
    }
}

/// A number with a fraction: finite, and equal to what is written alike.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Default, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Double(f64);

impl Double {
    /// The number; `None` for what is none.
    pub fn new(number: f64) -> Option<Self> {
        // Adding zero makes a zero of a negative one.
        number.is_finite().then_some(Self(number + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl Eq for Double {}

impl std::hash::Hash for Double {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl Decode for Double {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        if at.asks(|| Schema::Number) {
            return Self::default();
        }
        let number = match value {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        };
        number.and_then(Self::new).unwrap_or_else(|| {
            at.error(format!("expected a number, found {}", describe(value)));
            Self::default()
        })
    }
}

/// Writes a duration as it is read.
#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
pub(super) fn seconds_of<S: Serializer>(
    duration: &Option<Duration>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => {
            let text = format!("{}.{:09}", duration.as_secs(), duration.subsec_nanos());
            let text = text.trim_end_matches('0').trim_end_matches('.');
            to.serialize_str(&format!("{text}s"))
        }
        None => to.serialize_none(),
    }
}

impl Decode for Duration {
    fn decode(value: &Value, at: &At<'_>) -> Self {
        const HINT: &str = "a number and a unit, such as \"5s\", \"1.5s\" or \"100ms\"";
        if at.asks(|| Schema::Duration) {
            return Self::ZERO;
        }
        let Value::String(text) = value else {
            at.error_hint(
                format!("expected a duration, found {}", describe(value)),
                HINT,
            );
            return Self::ZERO;
        };
        match duration(text) {
            Some(duration) => duration,
            None => {
                at.error_hint(format!("{:?} is not a duration", excerpt(text)), HINT);
                Self::ZERO
            }
        }
    }
}

/// Protobuf's limit of a duration in nanoseconds: about 10,000 years.
const LONGEST: u128 = 315_576_000_000 * 1_000_000_000;

/// Units of time in nanoseconds, as Go writes durations; one that begins like another comes first.
const UNITS: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Reads `1.5s`, `100ms` or `1h30m`: protobuf's form, and Go's, which Istio takes, too. Nothing in a mesh lasts less than no time.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut rest = text;
    let mut total: u128 = 0;
    loop {
        let (part, after) = part_of_duration(rest)?;
        total = total.checked_add(part).filter(|total| *total <= LONGEST)?;
        if after.is_empty() {
            break;
        }
        rest = after;
    }
    let nanos = u32::try_from(total % 1_000_000_000).ok()?;
    Some(Duration::new(
        u64::try_from(total / 1_000_000_000).ok()?,
        nanos,
    ))
}

/// A number with its unit, in nanoseconds, and what follows them.
fn part_of_duration(text: &str) -> Option<(u128, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(digits(rest)),
        None => ("", rest),
    };
    let (unit, nanos) = UNITS.iter().find(|(unit, _)| rest.starts_with(unit))?;
    if whole.len() > 21 || fraction.len() > 9 || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let read = |text: &str| {
        if text.is_empty() {
            Some(0)
        } else {
            text.parse::<u128>().ok()
        }
    };
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let whole = read(whole)?.checked_mul(*nanos)?;
    let part = read(fraction)? * nanos / scale;
    Some((whole.checked_add(part)?, rest.strip_prefix(unit)?))
}

/// The value of a number without fraction and sign, however it is written.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked just before"
)]
fn whole(number: &Number) -> Option<u64> {
    number.as_u64().or_else(|| {
        let float = number.as_f64()?;
        (float.fract() == 0.0 && (0.0..=9e15).contains(&float)).then_some(float as u64)
    })
}

/// What a value is, for messages.
pub(super) fn describe(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => format!("the number {}", excerpt(&number.to_string())),
        Value::String(text) => format!("the text {:?}", excerpt(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}

/// As much of a text as a message should repeat.
pub(crate) fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::at::Report;

    fn read<T: Decode>(value: &Value) -> Result<T, String> {
        let report = Report::default();
        let read = T::decode(value, &report.root("x"));
        match report.finish().first() {
            None => Ok(read),
            Some(problem) => Err(problem.to_string()),
        }
    }

    #[test]
    fn numbers() {
        for value in [
            json!(80),
            json!(80.0),
            json!("80"),
            json!("8e1"),
            json!(8e1),
        ] {
            assert_eq!(read::<u32>(&value), Ok(80), "{value}");
        }
        assert_eq!(read::<u32>(&json!(u32::MAX)), Ok(u32::MAX));
        for value in [
            json!(-1),
            json!(0.5),
            json!(1u64 << 32),
            json!(1e300),
            json!("80x"),
            json!(""),
            json!(" 80"),
            json!("NaN"),
            json!(true),
            json!({}),
            json!([80]),
        ] {
            assert!(read::<u32>(&value).is_err(), "{value}");
        }
        assert_eq!(
            read::<u32>(&json!(-1)),
            Err("x: -1 is not a whole number from 0 to 4294967295".to_owned())
        );
    }

    #[test]
    fn booleans() {
        assert_eq!(read(&json!(true)), Ok(true));
        assert_eq!(
            read::<bool>(&json!("yes")),
            Err("x: expected true or false, found the text \"yes\"".to_owned())
        );
    }

    #[test]
    fn durations() {
        for (text, expected) in [
            ("5s", Duration::from_secs(5)),
            ("1.5s", Duration::from_millis(1500)),
            (".25s", Duration::from_millis(250)),
            ("0s", Duration::ZERO),
            ("0.000000001s", Duration::from_nanos(1)),
            ("0", Duration::ZERO),
            ("100ms", Duration::from_millis(100)),
            ("24h", Duration::from_secs(86_400)),
            ("1h30m0.5s", Duration::from_millis(5_400_500)),
            ("1.5m", Duration::from_secs(90)),
            ("7us", Duration::from_micros(7)),
            ("7µs", Duration::from_micros(7)),
            ("3ns", Duration::from_nanos(3)),
        ] {
            assert_eq!(read(&json!(text)), Ok(expected), "{text}");
        }
        for text in [
            "",
            "s",
            ".s",
            "5",
            "5d",
            "5m3",
            "99999999999999999999h",
            "-1s",
            "+1s",
            "1e3s",
            "1.0000000001s",
            "999999999999999s",
            "1 s",
        ] {
            assert!(read::<Duration>(&json!(text)).is_err(), "{text}");
        }
        assert!(read::<Duration>(&json!(5)).is_err());
    }

    #[test]
    fn enums_by_name_and_number() {
        let read = |value: Value| {
            let report = Report::default();
            let read = one_of(
                &value,
                &report.root("x"),
                &[("NONE", 0, 'n'), ("STATIC", 1, 's')],
            );
            report
                .finish()
                .first()
                .map_or(Ok(read), |problem| Err(problem.to_string()))
        };
        assert_eq!(read(json!("STATIC")), Ok('s'));
        assert_eq!(read(json!(1)), Ok('s'));
        assert_eq!(
            read(json!("static")),
            Err("x: the text \"static\" is not known here (did you mean STATIC?)".to_owned())
        );
        assert_eq!(
            read(json!(7)),
            Err("x: the number 7 is not known here (one of NONE, STATIC)".to_owned())
        );
    }

    #[test]
    fn messages_repeat_little_of_long_texts() {
        assert_eq!(excerpt("short"), "short");
        assert_eq!(excerpt(&"ü".repeat(200)).chars().count(), 81);
    }
}
