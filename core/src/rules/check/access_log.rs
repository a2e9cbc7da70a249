//! Checks of access logs. A format that Envoy cannot read makes it refuse every listener, so nothing of the kind may get as
//! far as a proxy.
//!
//! ```text
//! %NAME%   %NAME(PARAMETER)%   %NAME(PARAMETER):LENGTH%   %% is a percent sign
//! ```

mod operators;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::rules::at::At;
use crate::rules::spec::{AccessLogEncoding, MeshConfig, closest, excerpt};
use operators::Takes;

const FORMS: &str =
    "operators are %NAME%, %NAME(PARAMETER)% and %NAME(PARAMETER):LENGTH%; a percent sign is %%";

/// All that is wrong with the access log.
pub(super) fn access_log(at: &At<'_>, config: &MeshConfig) {
    if config.access_log_file.contains(char::is_control) {
        at.field("accessLogFile")
            .error("has control characters in it");
    }
    let format = at.field("accessLogFormat");
    if config.access_log_format.is_empty() {
        return;
    }
    match config.access_log_encoding {
        AccessLogEncoding::Text => text(&format, &config.access_log_format),
        AccessLogEncoding::Json => match serde_json::from_str(&config.access_log_format) {
            Ok(object @ Value::Object(_)) => json(&format, &object),
            Ok(_) => format.error_hint(
                "is not a JSON object",
                "accessLogEncoding JSON wants one of keys and formats",
            ),
            Err(problem) => format.error(format!(
                "is not JSON, which accessLogEncoding says it is: {problem}"
            )),
        },
    }
}

/// Every text in a format of JSON is a format.
pub(super) fn json(at: &At<'_>, value: &Value) {
    match value {
        Value::String(format) => text(at, format),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .for_each(|(index, item)| json(&at.index(index), item)),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, field)| json(&at.key(key), field)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// A line with operators in it.
pub(super) fn text(at: &At<'_>, format: &str) {
    let mut rest = format;
    while let Some(percent) = rest.find('%') {
        let (_, found) = rest.split_at(percent);
        if let Some(after) = found.strip_prefix("%%") {
            rest = after;
            continue;
        }
        let Some((command, after)) = Command::parse(found) else {
            let what = format!("{:?} is no command operator", excerpt(found));
            return at.error_hint(what, FORMS);
        };
        command.check(at);
        rest = after;
    }
}

/// An operator as written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Command<'a> {
    name: &'a str,
    /// Empty where there is none.
    parameter: &'a str,
    has_length: bool,
}

impl<'a> Command<'a> {
    /// The operator at the beginning of `text`, and what follows it. A parameter ends where its bracket is followed by the
    /// operator's end: it may have brackets and percent signs in it.
    fn parse(text: &'a str) -> Option<(Self, &'a str)> {
        let text = text.strip_prefix('%')?;
        let is_name =
            |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
        let (name, behind) = text.split_at(text.find(|letter| !is_name(letter))?);
        if name.is_empty() {
            return None;
        }
        let command = |parameter, has_length| Self {
            name,
            parameter,
            has_length,
        };
        let Some(inner) = behind.strip_prefix('(') else {
            let (has_length, rest) = end(behind)?;
            return Some((command("", has_length), rest));
        };
        let line = inner.split('\n').next().unwrap_or(inner);
        line.match_indices(')').find_map(|(at, _)| {
            let (parameter, behind) = inner.split_at(at);
            let (has_length, rest) = end(behind.strip_prefix(')')?)?;
            Some((command(parameter, has_length), rest))
        })
    }

    fn check(self, at: &At<'_>) {
        let Some((takes, recent)) = operators::operator(self.name) else {
            let what = format!("%{}% is not known to Envoy", excerpt(self.name));
            let hint = closest(self.name, operators::names())
                .map_or_else(String::new, |name| format!("did you mean %{name}%?"));
            return at.error_hint(what, hint);
        };
        if let Some(what) = self.problem(takes) {
            at.error(format!("%{}% {what}", self.name));
        }
        if recent {
            at.warning(format!(
                "%{}% is not known to Envoy 1.36: a proxy of that version refuses every listener",
                self.name
            ));
        }
    }

    /// What is wrong with what stands behind the name.
    fn problem(self, takes: Takes) -> Option<String> {
        let takes_length = match takes {
            Takes::Nothing
            | Takes::Optional
            | Takes::Text
            | Takes::CommonDuration
            | Takes::GrpcStatus => false,
            Takes::TextAndLength
            | Takes::Header
            | Takes::FilterState
            | Takes::Metadata
            | Takes::Options(_)
            | Takes::Coalesce => true,
        };
        if self.has_length && !takes_length {
            return Some("takes no length".into());
        }
        let parameter = self.parameter;
        match takes {
            Takes::Optional => None,
            Takes::Nothing => (!parameter.is_empty()).then(|| "takes no parameter".into()),
            Takes::Text | Takes::TextAndLength => {
                parameter.is_empty().then(|| "needs a parameter".into())
            }
            Takes::Header => header(parameter),
            Takes::FilterState => filter_state(parameter),
            Takes::Metadata => {
                let of = parameter.split(':').next().unwrap_or_default();
                let hint = METADATA.join(", ");
                (!METADATA.contains(&of))
                    .then(|| format!("wants one of {hint} before the first colon"))
            }
            Takes::CommonDuration => common_duration(parameter),
            Takes::Options(options) => choices(parameter, options),
            Takes::GrpcStatus => choices(parameter, &[&GRPC_STATUS]),
            Takes::Coalesce => coalesce(parameter),
        }
    }
}

/// The owners of metadata.
const METADATA: [&str; 7] = [
    "DYNAMIC",
    "CLUSTER",
    "ROUTE",
    "UPSTREAM_HOST",
    "LISTENER",
    "LISTENER_FILTER_CHAIN",
    "VIRTUAL_HOST",
];
const GRPC_STATUS: [&str; 4] = ["", "CAMEL_STRING", "SNAKE_STRING", "NUMBER"];
const PRECISIONS: [&str; 3] = ["ms", "us", "ns"];

/// The end of an operator: whether there is a length, and what follows.
fn end(text: &str) -> Option<(bool, &str)> {
    let Some(length) = text.strip_prefix(':') else {
        return Some((false, text.strip_prefix('%')?));
    };
    let (digits, rest) = length.split_once('%')?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    (is_number && digits.parse::<u64>().is_ok()).then_some((true, rest))
}

fn header(parameter: &str) -> Option<String> {
    if parameter.is_empty() {
        return Some("needs a header".into());
    }
    let names: Vec<_> = parameter.split('?').collect();
    if names.len() > 2 {
        return Some("has more than one header to use instead".into());
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&'*+-.^_`|~".contains(&byte);
    let is_header = |name: &&str| {
        name.strip_prefix(':')
            .unwrap_or(name)
            .bytes()
            .all(is_letter)
    };
    let odd = names.into_iter().find(|name| !is_header(name))?;
    Some(format!("names {:?}, which is no header", excerpt(odd)))
}

fn filter_state(parameter: &str) -> Option<String> {
    let mut parts = parameter.split(':');
    let key = parts.next().unwrap_or_default();
    let as_what: Vec<_> = parts.collect();
    if key.is_empty() {
        return Some("needs a key".into());
    }
    match as_what.as_slice() {
        [] | ["PLAIN" | "TYPED"] => None,
        ["FIELD", field] if !field.is_empty() => None,
        _ => Some("wants a key alone or followed by :PLAIN, :TYPED or :FIELD:NAME".into()),
    }
}

fn common_duration(parameter: &str) -> Option<String> {
    let parts: Vec<_> = parameter.split(':').collect();
    match parts.as_slice() {
        [_, _] => None,
        [_, _, precision] if PRECISIONS.contains(precision) => None,
        _ => Some("wants START:END or START:END:PRECISION, with precision ms, us or ns".into()),
    }
}

fn choices(parameter: &str, options: &[&[&str]]) -> Option<String> {
    let parts: Vec<_> = parameter.split(':').collect();
    let allowed = |(part, options): (&&str, &&[&str])| options.contains(part);
    if parts.len() <= options.len() && parts.iter().zip(options).all(allowed) {
        return None;
    }
    let lists: Vec<_> = options
        .iter()
        .map(|options| {
            let named: Vec<_> = options
                .iter()
                .filter(|option| !option.is_empty())
                .copied()
                .collect();
            named.join(" or ")
        })
        .collect();
    Some(format!("wants {}", lists.join(", and behind a colon ")))
}

fn coalesce(parameter: &str) -> Option<String> {
    let written: Option<Value> = serde_json::from_str(parameter).ok();
    let operators = written.as_ref().and_then(|json| json.get("operators"));
    let Some(operators) = operators
        .and_then(Value::as_array)
        .filter(|all| !all.is_empty())
    else {
        return Some(r#"wants JSON such as {"operators": ["PROTOCOL"]}"#.into());
    };
    operators.iter().find_map(|written| {
        let name = written.get("command").unwrap_or(written).as_str();
        let known = name.is_some_and(|name| operators::operator(name).is_some());
        (!known).then(|| format!("has {written} among its operators, which Envoy does not know"))
    })
}
