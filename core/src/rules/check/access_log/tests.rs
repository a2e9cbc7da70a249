//! Formats, as Envoy 1.36 and 1.40 take and refuse them.

use super::*;
use crate::registry::{Problem, Severity};
use crate::rules::at::Report;

fn problems(encoding: AccessLogEncoding, format: &str) -> Vec<Problem> {
    let config = MeshConfig {
        access_log_encoding: encoding,
        access_log_format: format.to_owned(),
        ..MeshConfig::default()
    };
    let report = Report::default();
    access_log(&report.root(""), &config);
    report.finish()
}

#[test]
fn taken() {
    for format in [
        "no operators",
        "%% and a%%b, %%PROTOCOL%%",
        "%PROTOCOL%%BYTES_SENT%",
        "%PROTOCOL()%",
        "[%START_TIME%] %START_TIME(%Y-%m-%dT%H:%M:%S.%3f)% %START_TIME(a)b)%\n",
        "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH):64% %RESP(a_b)% %TRAILER(a?)% %REQ_WITHOUT_QUERY(:PATH)%",
        "%RESPONSE_CODE_DETAILS(X)% %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%",
        "%DYNAMIC_METADATA(a:b:c)% %UPSTREAM_METADATA([\"a\"])% %METADATA(ROUTE:a:b):5% %METADATA(DYNAMIC)%",
        "%FILTER_STATE(a)% %FILTER_STATE(a:PLAIN):5% %UPSTREAM_FILTER_STATE(a:FIELD:b)%",
        "%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)% %COMMON_DURATION(a:)%",
        "%PATH% %PATH(NQ:ORIG):9% %PATH(:PATH)% %GRPC_STATUS(SNAKE_STRING)% %GRPC_STATUS_NUMBER%",
        "%ENVIRONMENT(HOME):3% %QUERY_PARAM(a)% %CEL(request.path.startsWith('a'))%",
    ] {
        assert_eq!(problems(AccessLogEncoding::Text, format), [], "{format}");
    }
}

#[test]
fn refused() {
    let malformed = |what: &str| format!("{what:?} is no command operator");
    let check = |format: &str, what: &str| {
        let found = problems(AccessLogEncoding::Text, format);
        let found: Vec<_> = found
            .iter()
            .map(|p| (p.severity, p.path.to_string(), p.what.to_string()))
            .collect();
        let expected = (
            Severity::Error,
            "accessLogFormat".to_owned(),
            what.to_owned(),
        );
        assert_eq!(found, [expected], "{format}");
    };
    check("100%", &malformed("%"));
    check("% PROTOCOL%", &malformed("% PROTOCOL%"));
    check("%PROTOCOL", &malformed("%PROTOCOL"));
    check("%protocol%", &malformed("%protocol%"));
    check("%REQ(a%", &malformed("%REQ(a%"));
    check("%REQ(a)b%", &malformed("%REQ(a)b%"));
    check("%REQ(a):%", &malformed("%REQ(a):%"));
    check("%REQ(a):-1%", &malformed("%REQ(a):-1%"));
    check("%REQ(a\n)%", &malformed("%REQ(a\n)%"));
    check(
        "%REQ(a):99999999999999999999999%",
        &malformed("%REQ(a):99999999999999999999999%"),
    );
    check("%PROTOCOL%%%PROTOCOL%", &malformed("%"));
    check("%PROTOKOL%", "%PROTOKOL% is not known to Envoy");
    check("%PROTOCOL(x)%", "%PROTOCOL% takes no parameter");
    check("%PROTOCOL:5%", "%PROTOCOL% takes no length");
    check("%START_TIME(a):5%", "%START_TIME% takes no length");
    check("%REQ%", "%REQ% needs a header");
    check("%REQ(a b)%", "%REQ% names \"a b\", which is no header");
    check("%REQ(a:b)%", "%REQ% names \"a:b\", which is no header");
    check(
        "%REQ(a?b?c)%",
        "%REQ% has more than one header to use instead",
    );
    check("%ENVIRONMENT()%", "%ENVIRONMENT% needs a parameter");
    check(
        "%FILTER_STATE(a:FIELD)%",
        "%FILTER_STATE% wants a key alone or followed by :PLAIN, :TYPED or :FIELD:NAME",
    );
    check("%FILTER_STATE(:PLAIN)%", "%FILTER_STATE% needs a key");
    check(
        "%METADATA(HOST:a)%",
        "%METADATA% wants one of DYNAMIC, CLUSTER, ROUTE, UPSTREAM_HOST, LISTENER, LISTENER_FILTER_CHAIN, VIRTUAL_HOST \
         before the first colon",
    );
    check(
        "%COMMON_DURATION(a:b:s)%",
        "%COMMON_DURATION% wants START:END or START:END:PRECISION, with precision ms, us or ns",
    );
    check(
        "%PATH(X:PATH)%",
        "%PATH% wants WQ or NQ, and behind a colon ORIG or PATH or ORIG_OR_PATH",
    );
    check(
        "%GRPC_STATUS(x)%",
        "%GRPC_STATUS% wants CAMEL_STRING or SNAKE_STRING or NUMBER",
    );
}

#[test]
fn advice_comes_with_it() {
    let hint = |format: &str| {
        problems(AccessLogEncoding::Text, format)
            .remove(0)
            .to_string()
    };
    assert_eq!(
        hint("%RESPONSE_CODES%"),
        "accessLogFormat: %RESPONSE_CODES% is not known to Envoy (did you mean %RESPONSE_CODE%?)"
    );
    assert_eq!(
        hint("5% of it"),
        format!("accessLogFormat: \"% of it\" is no command operator ({FORMS})")
    );
}

#[test]
fn what_old_envoys_do_not_know_is_a_warning() {
    let of = |format: &str| {
        let found = problems(AccessLogEncoding::Text, format);
        found.into_iter().map(|p| p.severity).collect::<Vec<_>>()
    };
    assert_eq!(of("%LISTENER_NAME%"), [Severity::Warning]);
    assert_eq!(of("%REQUEST_HEADER(a)%"), [Severity::Warning]);
    assert_eq!(
        of(r#"%COALESCE({"operators": ["PROTOCOL", {"command": "REQ", "param": "a"}]})%"#),
        [Severity::Warning]
    );
    for bad in [
        "a",
        "{}",
        r#"{"operators": []}"#,
        r#"{"operators": ["NOPE"]}"#,
    ] {
        let found = of(&format!("%COALESCE({bad})%"));
        assert_eq!(found, [Severity::Error, Severity::Warning], "{bad}");
    }
}

#[test]
fn every_text_in_json_is_a_format() {
    let paths = |format: &str| {
        let found = problems(AccessLogEncoding::Json, format);
        found.iter().map(|p| p.path.to_string()).collect::<Vec<_>>()
    };
    let format =
        r#"{"a": "%PROTOCOL%", "b": {"c": ["%NOPE%", 1, true, null, "%"]}, "d/e": "%nope%"}"#;
    assert_eq!(
        paths(format),
        [
            "accessLogFormat.b.c[0]",
            "accessLogFormat.b.c[4]",
            "accessLogFormat[\"d/e\"]"
        ]
    );
    assert_eq!(paths("%PROTOCOL%"), ["accessLogFormat"]);
    assert_eq!(paths("[1]"), ["accessLogFormat"]);
}
