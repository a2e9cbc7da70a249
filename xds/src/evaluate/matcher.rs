//! Matchers of texts, headers and queries.
//!
//! Of a header that is there several times all values count as one, joined by commas; Envoys from about 1.40 on also take each by
//! itself.
//!
//! Envoy's regular expressions are RE2's and match whole texts. Those of the `regex` crate have the same syntax but for `\C` and
//! `\Q…\E`; what does not compile matches nothing.

use envoy_types::pb::envoy::config::core::v3::RuntimeFractionalPercent;
use envoy_types::pb::envoy::config::route::v3::header_matcher::HeaderMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::query_parameter_matcher::QueryParameterMatchSpecifier;
use envoy_types::pb::envoy::config::route::v3::{HeaderMatcher, QueryParameterMatcher};
use envoy_types::pb::envoy::r#type::matcher::v3::string_matcher::MatchPattern;
use envoy_types::pb::envoy::r#type::matcher::v3::{RegexMatchAndSubstitute, StringMatcher};
use envoy_types::pb::envoy::r#type::v3::FractionalPercent;
use envoy_types::pb::envoy::r#type::v3::fractional_percent::DenominatorType;
use regex::bytes::{Regex, RegexBuilder};

/// Whether a text is as a matcher says.
pub(super) fn text(matcher: &StringMatcher, text: &str) -> bool {
    let folded = |text: &str| match matcher.ignore_case {
        true => text.to_ascii_lowercase(),
        false => text.to_owned(),
    };
    let has = folded(text);
    match &matcher.match_pattern {
        Some(MatchPattern::Exact(wanted)) => has == folded(wanted),
        Some(MatchPattern::Prefix(wanted)) => has.starts_with(&folded(wanted)),
        Some(MatchPattern::Suffix(wanted)) => has.ends_with(&folded(wanted)),
        Some(MatchPattern::Contains(wanted)) => has.contains(&folded(wanted)),
        Some(MatchPattern::SafeRegex(wanted)) => whole(&wanted.regex, text),
        Some(MatchPattern::Custom(_)) | None => false,
    }
}

/// A matcher in words.
pub(super) fn in_words(matcher: &StringMatcher) -> String {
    let how = |how: &str, text: &str| match matcher.ignore_case {
        true => format!("{how} {text:?} in any case"),
        false => format!("{how} {text:?}"),
    };
    match &matcher.match_pattern {
        Some(MatchPattern::Exact(text)) => how("=", text),
        Some(MatchPattern::Prefix(text)) => how("begins with", text),
        Some(MatchPattern::Suffix(text)) => how("ends with", text),
        Some(MatchPattern::Contains(text)) => how("contains", text),
        Some(MatchPattern::SafeRegex(regex)) => format!("matches /{}/", regex.regex),
        Some(MatchPattern::Custom(_)) | None => "is matched by an extension".into(),
    }
}

/// Whether a regular expression matches the whole text.
pub(super) fn whole(pattern: &str, text: &str) -> bool {
    compiled(&format!(r"\A(?:{pattern})\z")).is_some_and(|regex| regex.is_match(text.as_bytes()))
}

/// A text in which every match has been replaced; `\1` in the substitution is the first group.
pub(super) fn substituted(rule: &RegexMatchAndSubstitute, text: &str) -> String {
    let pattern = rule.pattern.as_ref().map_or("", |p| p.regex.as_str());
    let Some(regex) = compiled(pattern) else {
        return text.to_owned();
    };
    let replaced = regex.replace_all(text.as_bytes(), |groups: &regex::bytes::Captures<'_>| {
        let mut bytes = Vec::new();
        let mut rest = rule.substitution.chars();
        while let Some(character) = rest.next() {
            let special = (character == '\\').then(|| rest.next()).flatten();
            match special {
                Some(digit) if digit.is_ascii_digit() => {
                    let place = digit.to_digit(10).unwrap_or(0) as usize;
                    bytes.extend(groups.get(place).map_or(&b""[..], |group| group.as_bytes()));
                }
                Some(other) => bytes.extend(other.to_string().bytes()),
                None => bytes.extend(character.to_string().bytes()),
            }
        }
        bytes
    });
    String::from_utf8_lossy(&replaced).into_owned()
}

/// RE2's classes are those of ASCII; only what asks for more is compiled with more.
fn compiled(pattern: &str) -> Option<Regex> {
    let build = |unicode: bool| RegexBuilder::new(pattern).unicode(unicode).build().ok();
    build(false).or_else(|| build(true))
}

/// Why a request does not have the header that a matcher wants; nothing if it does.
pub(super) fn header(matcher: &HeaderMatcher, value: Option<&str>) -> Option<String> {
    let name = matcher.name.as_str();
    let not = if matcher.invert_match { "not " } else { "" };
    let shown = match value {
        Some(value) => format!("{value:?}"),
        None => "missing".to_owned(),
    };
    // Presence is asked for in its own way.
    let presence = match &matcher.header_match_specifier {
        None => Some(true),
        Some(HeaderMatchSpecifier::PresentMatch(present)) => Some(*present),
        Some(_) => None,
    };
    if let Some(present) = presence {
        let wanted = present != matcher.invert_match;
        let what = if wanted { "there" } else { "absent" };
        return (value.is_some() != wanted).then(|| format!("header {name} is not {what}"));
    }
    let (matches, wanted) = header_value(matcher, value.unwrap_or_default());
    let is_there = value.is_some() || matcher.treat_missing_header_as_empty;
    let holds = is_there && matches != matcher.invert_match;
    (!holds).then(|| format!("header {name} is {shown}; wanted: {not}{wanted}"))
}

#[expect(deprecated, reason = "Envoy still reads the old kinds, and so must we")]
fn header_value(matcher: &HeaderMatcher, value: &str) -> (bool, String) {
    match &matcher.header_match_specifier {
        Some(HeaderMatchSpecifier::StringMatch(wanted)) => (text(wanted, value), in_words(wanted)),
        Some(HeaderMatchSpecifier::RangeMatch(range)) => (
            value
                .trim()
                .parse()
                .is_ok_and(|number: i64| (range.start..range.end).contains(&number)),
            format!("a number from {} to below {}", range.start, range.end),
        ),
        Some(HeaderMatchSpecifier::ExactMatch(wanted)) => {
            (value == wanted, format!("= {wanted:?}"))
        }
        Some(HeaderMatchSpecifier::PrefixMatch(wanted)) => (
            value.starts_with(wanted.as_str()),
            format!("begins with {wanted:?}"),
        ),
        Some(HeaderMatchSpecifier::SuffixMatch(wanted)) => (
            value.ends_with(wanted.as_str()),
            format!("ends with {wanted:?}"),
        ),
        Some(HeaderMatchSpecifier::ContainsMatch(wanted)) => (
            value.contains(wanted.as_str()),
            format!("contains {wanted:?}"),
        ),
        Some(HeaderMatchSpecifier::SafeRegexMatch(wanted)) => (
            whole(&wanted.regex, value),
            format!("matches /{}/", wanted.regex),
        ),
        Some(HeaderMatchSpecifier::PresentMatch(_)) | None => (true, String::new()),
    }
}

/// Why a query does not have the parameter that a matcher wants; nothing if it does.
pub(super) fn query_parameter(matcher: &QueryParameterMatcher, query: &str) -> Option<String> {
    let name = matcher.name.as_str();
    // Of several, Envoy looks at the first; it resolves no escapes.
    let value = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value);
    let (holds, wanted) = match &matcher.query_parameter_match_specifier {
        None => (value.is_some(), "there".to_owned()),
        Some(QueryParameterMatchSpecifier::PresentMatch(present)) => (
            value.is_some() == *present,
            if *present { "there" } else { "absent" }.to_owned(),
        ),
        Some(QueryParameterMatchSpecifier::StringMatch(wanted)) => (
            value.is_some_and(|value| text(wanted, value)),
            in_words(wanted),
        ),
    };
    let shown = value.map_or_else(|| "missing".to_owned(), |value| format!("{value:?}"));
    (!holds).then(|| format!("query parameter {name} is {shown}; wanted: {wanted}"))
}

/// How many of a hundred a fraction is.
pub(super) fn percent(fraction: &FractionalPercent) -> f64 {
    100.0 * f64::from(fraction.numerator) / denominator(fraction) as f64
}

/// Whether a random value falls into a fraction.
pub(super) fn drawn(fraction: &FractionalPercent, random: u64) -> bool {
    random % denominator(fraction) < u64::from(fraction.numerator)
}

/// The fraction where the runtime says nothing of its own.
pub(super) fn fraction(runtime: &RuntimeFractionalPercent) -> FractionalPercent {
    runtime.default_value.unwrap_or(FractionalPercent {
        numerator: 100,
        denominator: DenominatorType::Hundred.into(),
    })
}

fn denominator(fraction: &FractionalPercent) -> u64 {
    match fraction.denominator() {
        DenominatorType::Hundred => 100,
        DenominatorType::TenThousand => 10_000,
        DenominatorType::Million => 1_000_000,
    }
}
