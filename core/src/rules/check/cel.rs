//! Checks of expressions in CEL: their grammar, the functions that they call, and where their values come from.
//!
//! An expression that Envoy cannot read makes it refuse the listener. Types are not looked at: an expression that fails while it
//! is evaluated is false to Envoy.

mod grammar;
mod token;

use crate::rules::at::At;
use crate::rules::spec::{closest, excerpt};
use grammar::Parsed;

/// The functions and macros of CEL's standard library, as Envoy has it.
const FUNCTIONS: &[&str] = &[
    "all",
    "bool",
    "bytes",
    "contains",
    "double",
    "duration",
    "dyn",
    "endsWith",
    "exists",
    "exists_one",
    "filter",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getFullYear",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getSeconds",
    "has",
    "int",
    "map",
    "matches",
    "size",
    "startsWith",
    "string",
    "timestamp",
    "type",
    "uint",
];

/// Where Envoy's values come from.
const ATTRIBUTES: &[&str] = &[
    "connection",
    "destination",
    "filter_state",
    "metadata",
    "request",
    "response",
    "source",
    "upstream",
    "upstream_filter_state",
    "xds",
];

/// All that is wrong with an expression.
pub(super) fn expression(at: &At<'_>, text: &str) {
    let Parsed { calls, roots } = match grammar::parse(text) {
        Ok(parsed) => parsed,
        Err(why) => {
            return at.error(format!("{:?} is not CEL: {why}", excerpt(text)));
        }
    };
    for name in calls.iter().filter(|name| !FUNCTIONS.contains(name)) {
        let hint = closest(name, FUNCTIONS.iter().copied())
            .map_or_else(String::new, |known| format!("did you mean {known}?"));
        at.error_hint(
            format!("{:?} is no function of CEL's that Envoy has", excerpt(name)),
            hint,
        );
    }
    for name in roots.iter().filter(|name| !ATTRIBUTES.contains(name)) {
        at.warning_hint(
            format!("Envoy has no attributes of {:?}", excerpt(name)),
            format!("they are of {}", ATTRIBUTES.join(", ")),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::at::Report;

    fn problems(text: &str) -> Vec<String> {
        let report = Report::default();
        expression(&report.root(""), text);
        let found = report.finish();
        found.iter().map(|problem| problem.what.clone()).collect()
    }

    #[test]
    fn taken() {
        for text in [
            "response.code >= 500",
            "response.code >= 400 || (connection.mtls && request.url_path.contains('v1beta3'))",
            "has(request.host) && !('x-a' in request.headers) && request.method in ['GET', \"POST\"]",
            "request.time.getFullYear() == 2024 ? true : -request.size < 5u",
            "xds.cluster_metadata.filter_metadata['istio'].services.exists(s, s.host == r'a\\b')",
            "{'a': 1, 'b': 2.5e3}['a'] == 0xff && '''multi\nline''' != b'x'",
            "size(request.path) % 2 == 0 // every second",
            "!!true",
            ".request.host.startsWith('a')",
        ] {
            assert_eq!(problems(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn refused() {
        let check = |text: &str, expected: &str| {
            let found = problems(text);
            assert!(
                found.len() == 1 && found[0].contains(expected),
                "{text}: {found:?}"
            );
        };
        check("", "something is missing at its end");
        check("response.code >=", "something is missing at its end");
        check("(a", "something is missing at its end");
        check("request.path == 'a", "a text without end");
        check("response.code => 5", "\"=\" is unexpected");
        check("response.code = 5", "\"=\" is unexpected");
        check("request.path request.host", "\"request\" is unexpected");
        check("[1, 2", "something is missing at its end");
        check("request.headers['a'", "something is missing at its end");
        check("1 +* 2", "\"*\" is unexpected");
        check("request.path.startWith('a')", "no function");
        check("a.b == 1", "no attributes of \"a\"");
        check("request.#", "\"#\" is unexpected");
        check(&"(".repeat(1000), "nested too deeply");
        check("in", "\"in\" is unexpected");
        check("has(request.headers['x-a'])", "has() takes a field");
        check("has(a)", "has() takes a field");
    }
}
