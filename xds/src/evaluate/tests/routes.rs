//! Virtual hosts and routes.

use serde_json::{Value, json};

use super::super::{Call, Headers, Payload, evaluate};
use super::{entrance, get, outline, with, with_routes};

#[test]
fn the_most_specific_domain_is_the_virtual_host() {
    let host = |name: &str, domains: Value| {
        json!({ "name": name, "domains": domains, "routes": [{
            "match": { "prefix": "/" }, "direct_response": { "status": 200, "body": { "inline_string": name } },
        }] })
    };
    let routes = |ignore_port: bool| {
        with_routes(
            &json!({
                "name": "r",
                "ignore_port_in_host_matching": ignore_port,
                "virtual_hosts": [
                    host("any", json!(["*"])),
                    host("suffix", json!(["*.b.test"])),
                    host("longer", json!(["*.a.b.test", "*-x.b.test"])),
                    host("prefix", json!(["www.*"])),
                    host("exact", json!(["a.b.test", "[fd00::1]"])),
                ],
            }),
            json!([]),
        )
    };
    let (with_port, without_port) = (routes(false), routes(true));
    let asked = |authority: &str, ignore_port: bool| {
        let all = if ignore_port {
            &without_port
        } else {
            &with_port
        };
        outline(&evaluate(all, &Call::get(entrance(), authority, "/")))
    };
    for (authority, expected) in [
        ("a.b.test", "exact"),
        ("A.b.TEST", "exact"),
        ("x.b.test", "suffix"),
        ("x.a.b.test", "longer"),
        ("a-x.b.test", "longer"),
        ("www.b.test", "suffix"),
        ("www.org", "prefix"),
        ("b.test", "any"),
        ("a.b.test:80", "any"),
    ] {
        assert_eq!(
            asked(authority, false),
            format!("200 - {expected}"),
            "{authority}"
        );
    }
    for authority in ["a.b.test:80", "a.b.test", "[fd00::1]:80", "[fd00::1]"] {
        assert_eq!(asked(authority, true), "200 - exact", "{authority}");
    }
}

/// Routes that answer their place, and no route for the rest.
fn places(matches: &[Value]) -> super::Configuration {
    let routes: Vec<Value> = matches
        .iter()
        .enumerate()
        .map(|(place, matching)| {
            json!({ "match": matching, "direct_response": { "status": 200 + place } })
        })
        .collect();
    with(json!(routes))
}

#[test]
fn the_first_route_whose_path_matches() {
    let all = places(&[
        json!({ "path": "/exact" }),
        json!({ "path": "/Any", "case_sensitive": false }),
        json!({ "path_separated_prefix": "/api" }),
        json!({ "safe_regex": { "regex": "/v[0-9]+" } }),
        json!({ "prefix": "/pre" }),
    ]);
    for (path, expected) in [
        ("/exact", "200 -"),
        ("/exact?a=1", "200 -"),
        ("/exact/", "404 NR"),
        ("/aNY", "201 -"),
        ("/api", "202 -"),
        ("/api/x", "202 -"),
        ("/apix", "404 NR"),
        ("/v12", "203 -"),
        ("/v12x", "404 NR"),
        ("/prefix", "204 -"),
    ] {
        assert_eq!(outline(&get(&all, path)), expected, "{path}");
    }
    let walk = get(&all, "/none");
    let why: Vec<_> = walk.http.unwrap().routes_considered;
    let why: Vec<_> = why
        .iter()
        .map(|considered| considered.why.as_str())
        .collect();
    assert_eq!(
        why,
        [
            "path /none is not /exact",
            "path /none is not /Any",
            "path /none is not /api or below it",
            "path /none does not match //v[0-9]+/",
            "path /none does not begin with /pre",
        ]
    );
}

fn with_headers(all: &super::Configuration, path: &str, headers: &[(&str, &str)]) -> String {
    let mut call = Call::get(entrance(), "web.test", path);
    if let Payload::Http(request) = &mut call.payload {
        request.headers = headers.iter().map(|(n, v)| (*n, *v)).collect::<Headers>();
    }
    outline(&evaluate(all, &call))
}

#[test]
fn headers_of_all_kinds() {
    let check = |matcher: Value, yes: &[&[(&str, &str)]], no: &[&[(&str, &str)]]| {
        let mut header = matcher;
        header["name"] = json!("x-h");
        let all = places(&[json!({ "prefix": "/", "headers": [header.clone()] })]);
        for headers in yes {
            assert_eq!(
                with_headers(&all, "/", headers),
                "200 -",
                "{header} {headers:?}"
            );
        }
        for headers in no {
            assert_eq!(
                with_headers(&all, "/", headers),
                "404 NR",
                "{header} {headers:?}"
            );
        }
    };
    let text = |matcher: Value| json!({ "string_match": matcher });
    check(
        text(json!({ "exact": "A" })),
        &[&[("X-H", "A")]],
        &[&[("x-h", "a")], &[]],
    );
    check(
        text(json!({ "exact": "A", "ignore_case": true })),
        &[&[("x-h", "a")]],
        &[&[("x-h", "b")]],
    );
    check(
        text(json!({ "prefix": "a" })),
        &[&[("x-h", "ab")]],
        &[&[("x-h", "ba")]],
    );
    check(
        text(json!({ "suffix": "a" })),
        &[&[("x-h", "ba")]],
        &[&[("x-h", "ab")]],
    );
    check(
        text(json!({ "contains": "a" })),
        &[&[("x-h", "bab")]],
        &[&[("x-h", "b")]],
    );
    check(
        text(json!({ "safe_regex": { "regex": "a+" } })),
        &[&[("x-h", "aa")]],
        &[&[("x-h", "aab")]],
    );
    check(json!({ "present_match": true }), &[&[("x-h", "")]], &[&[]]);
    check(
        json!({ "present_match": true, "invert_match": true }),
        &[&[]],
        &[&[("x-h", "")]],
    );
    check(
        json!({ "range_match": { "start": 1, "end": 3 } }),
        &[&[("x-h", "2")]],
        &[&[("x-h", "3")]],
    );
    let not_a = text(json!({ "exact": "a" }));
    let mut inverted = not_a;
    inverted["invert_match"] = json!(true);
    check(
        inverted.clone(),
        &[&[("x-h", "b")]],
        &[&[("x-h", "a")], &[]],
    );
    inverted["treat_missing_header_as_empty"] = json!(true);
    check(inverted, &[&[("x-h", "b")], &[]], &[&[("x-h", "a")]]);
    // Several values count as one, joined.
    check(
        text(json!({ "exact": "a,b" })),
        &[&[("x-h", "a"), ("x-h", "b")]],
        &[&[("x-h", "a")]],
    );
}

#[test]
fn parameters_of_the_query() {
    let all = places(&[
        json!({ "prefix": "/", "query_parameters": [{ "name": "a", "string_match": { "exact": "1" } }] }),
        json!({ "prefix": "/", "query_parameters": [{ "name": "b", "present_match": true }] }),
    ]);
    for (path, expected) in [
        ("/?a=1", "200 -"),
        ("/?x=2&a=1", "200 -"),
        ("/?a=2&a=1", "404 NR"),
        ("/?a=%31", "404 NR"),
        ("/?b", "201 -"),
        ("/?b=", "201 -"),
        ("/", "404 NR"),
    ] {
        assert_eq!(outline(&get(&all, path)), expected, "{path}");
    }
}

#[test]
fn a_fraction_takes_what_chance_gives_it() {
    let all = places(&[
        json!({ "prefix": "/", "runtime_fraction": { "default_value": { "numerator": 30 } } }),
        json!({ "prefix": "/" }),
    ]);
    for (random, expected) in [(0, "200 -"), (29, "200 -"), (30, "201 -"), (99, "201 -")] {
        let call = Call {
            random,
            ..Call::get(entrance(), "web.test", "/")
        };
        assert_eq!(outline(&evaluate(&all, &call)), expected, "{random}");
    }
}

#[test]
fn grpc_is_told_by_its_content() {
    let all = places(&[json!({ "prefix": "/", "grpc": {} })]);
    for (kind, expected) in [
        ("application/grpc", "200 -"),
        ("application/grpc+proto", "200 -"),
        ("application/grpc-web", "404 NR"),
    ] {
        assert_eq!(with_headers(&all, "/", &[("content-type", kind)]), expected);
    }
}
