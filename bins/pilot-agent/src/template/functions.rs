//! The functions of templates, with Go's names and meaning.

use std::cmp::Ordering;
use std::fmt::Write as _;

use serde_json::Value;

/// A function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Eq,
    Ge,
    Gt,
    Index,
    Le,
    Len,
    Lt,
    Ne,
    Not,
    Or,
    Print,
    Printf,
}

/// All names, for errors.
pub(super) const NAMES: [&str; 13] = [
    "and", "eq", "ge", "gt", "index", "le", "len", "lt", "ne", "not", "or", "print", "printf",
];

/// The function of a name.
pub(super) fn by_name(name: &str) -> Option<Function> {
    use Function::{And, Eq, Ge, Gt, Index, Le, Len, Lt, Ne, Not, Or, Print, Printf};
    let all = [
        And, Eq, Ge, Gt, Index, Le, Len, Lt, Ne, Not, Or, Print, Printf,
    ];
    NAMES
        .iter()
        .zip(all)
        .find(|(known, _)| **known == name)
        .map(|(_, function)| function)
}

impl Function {
    /// Its value.
    ///
    /// # Errors
    /// It does not take these arguments; the text says why.
    pub(super) fn call(self, arguments: &[Value]) -> Result<Value, String> {
        match (self, arguments) {
            (Self::And | Self::Or, []) => Err("and, or take at least one value".to_owned()),
            // The first that decides, or the last.
            (Self::And, [.., last]) => Ok(first(arguments, |value| !truth(value), last)),
            (Self::Or, [.., last]) => Ok(first(arguments, truth, last)),
            (Self::Not, [value]) => Ok(Value::Bool(!truth(value))),
            (Self::Eq, [value, others @ ..]) if !others.is_empty() => {
                for other in others {
                    if equal(value, other)? {
                        return Ok(Value::Bool(true));
                    }
                }
                Ok(Value::Bool(false))
            }
            (Self::Ne, [a, b]) => equal(a, b).map(|equal| Value::Bool(!equal)),
            (Self::Lt, [a, b]) => ordered(a, b, Ordering::is_lt),
            (Self::Le, [a, b]) => ordered(a, b, Ordering::is_le),
            (Self::Gt, [a, b]) => ordered(a, b, Ordering::is_gt),
            (Self::Ge, [a, b]) => ordered(a, b, Ordering::is_ge),
            (Self::Len, [value]) => len(value),
            (Self::Index, [value, keys @ ..]) => index(value, keys),
            (Self::Print, values) => Ok(Value::String(print(values)?)),
            (Self::Printf, [Value::String(format), values @ ..]) => printf(format, values),
            _ => Err(
                format!("{self:?} does not take these {} values", arguments.len()).to_lowercase(),
            ),
        }
    }
}

fn first(values: &[Value], wanted: impl Fn(&Value) -> bool, last: &Value) -> Value {
    values
        .iter()
        .find(|value| wanted(value))
        .unwrap_or(last)
        .clone()
}

/// What is empty or zero is false.
pub(super) fn truth(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(value) => *value,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !text.is_empty(),
        Value::Array(values) => !values.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
    }
}

/// How a value is written. Go writes `<no value>` for what is not there, which no configuration wants.
pub(super) fn text(value: &Value) -> Result<String, String> {
    Ok(match value {
        Value::Null => return Err("there is no value to write".to_owned()),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(values) => {
            let texts = values.iter().map(text).collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", texts.join(" "))
        }
        Value::Object(fields) => {
            let entry =
                |(key, value): (&String, &Value)| text(value).map(|text| format!("{key}:{text}"));
            let texts = fields.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            format!("map[{}]", texts.join(" "))
        }
    })
}

fn equal(a: &Value, b: &Value) -> Result<bool, String> {
    match (a, b) {
        (Value::Null, _) | (_, Value::Null) => Ok(a == b),
        (Value::Bool(_), Value::Bool(_))
        | (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_)) => Ok(a == b),
        _ => Err(incompatible(a, b)),
    }
}

fn ordered(a: &Value, b: &Value, wanted: fn(Ordering) -> bool) -> Result<Value, String> {
    let ordering = match (a, b) {
        (Value::Number(x), Value::Number(y)) => x.as_f64().partial_cmp(&y.as_f64()),
        (Value::String(x), Value::String(y)) => Some(x.cmp(y)),
        _ => None,
    };
    ordering
        .map(|ordering| Value::Bool(wanted(ordering)))
        .ok_or_else(|| incompatible(a, b))
}

fn incompatible(a: &Value, b: &Value) -> String {
    format!("{} and {} cannot be compared", kind(a), kind(b))
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

fn len(value: &Value) -> Result<Value, String> {
    match value {
        Value::String(text) => Ok(text.len().into()),
        Value::Array(values) => Ok(values.len().into()),
        Value::Object(fields) => Ok(fields.len().into()),
        other => Err(format!("{} has no length", kind(other))),
    }
}

fn index(value: &Value, keys: &[Value]) -> Result<Value, String> {
    let mut value = value;
    for key in keys {
        value = match (value, key) {
            (Value::Object(fields), Value::String(key)) => fields.get(key).unwrap_or(&Value::Null),
            (Value::Array(values), Value::Number(number)) => number
                .as_u64()
                .and_then(|number| values.get(usize::try_from(number).ok()?))
                .ok_or_else(|| format!("there is no element {number} among {}", values.len()))?,
            (value, key) => return Err(format!("{} has no element {key}", kind(value))),
        };
    }
    Ok(value.clone())
}

/// Go puts a space between two neighbours of which neither is a text.
fn print(values: &[Value]) -> Result<String, String> {
    let mut all = String::new();
    for (nth, value) in values.iter().enumerate() {
        let before = nth.checked_sub(1).and_then(|nth| values.get(nth));
        if before.is_some_and(|before| !before.is_string() && !value.is_string()) {
            all.push(' ');
        }
        all.push_str(&text(value)?);
    }
    Ok(all)
}

fn printf(format: &str, values: &[Value]) -> Result<Value, String> {
    let mut values = values.iter();
    let mut all = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            all.push(c);
            continue;
        }
        let verb = chars.next();
        if verb == Some('%') {
            all.push('%');
            continue;
        }
        let value = values
            .next()
            .ok_or_else(|| format!("printf {format:?} has more verbs than values"))?;
        match (verb, value) {
            (Some('v'), value) => all.push_str(&text(value)?),
            (Some('s'), Value::String(text)) => all.push_str(text),
            (Some('q'), Value::String(text)) => {
                let _ = write!(all, "{}", Value::String(text.clone()));
            }
            (Some('d'), Value::Number(number)) => {
                let _ = write!(all, "{number}");
            }
            (Some('t'), Value::Bool(value)) => {
                let _ = write!(all, "{value}");
            }
            (verb, value) => {
                let verb = verb.map(String::from).unwrap_or_default();
                return Err(format!(
                    "printf does not write {} by %{verb}; its verbs are %v %s %q %d %t",
                    kind(value)
                ));
            }
        }
    }
    match values.next() {
        None => Ok(Value::String(all)),
        Some(_) => Err(format!("printf {format:?} has more values than verbs")),
    }
}
