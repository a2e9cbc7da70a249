//! Templates and what they make.

use serde_json::json;

use super::*;

fn data() -> Map<String, Value> {
    let data = json!({
        "PodName": "web-1",
        "Empty": "",
        "Auth": "enable",
        "Port": 15010,
        "Zero": 0,
        "On": true,
        "List": ["a", "b"],
        "Nothing": [],
        "Labels": { "app": "web", "version": "v1" },
    });
    data.as_object().cloned().unwrap()
}

/// `template` makes `expected`.
fn check(template: &str, expected: &str) {
    assert_eq!(
        render(template, &data()).as_deref(),
        Ok(expected),
        "{template}"
    );
}

/// `template` is wrong at `line:column`, in a way that `says`.
fn wrong(template: &str, place: &str, says: &str) {
    let error = render(template, &data()).expect_err(template);
    let at = format!("{}:{}", error.place.line, error.place.column);
    assert_eq!(at, place, "{template}: {error}");
    assert!(error.problem.contains(says), "{template}: {error}");
}

#[test]
fn fields_and_text() {
    check("plain", "plain");
    check("", "");
    check("a {{ .PodName }} b", "a web-1 b");
    check("{{.Port}}:{{ .On }}:{{ $.PodName }}", "15010:true:web-1");
    check("{{ .Labels.app }}", "web");
    check("{{ \"a\\\"b\" }}{{ `c\\d` }}{{ 3 }}{{ -4 }}", "a\"bc\\d3-4");
    check("} }} {", "} }} {");
}

#[test]
fn conditions() {
    check("{{ if .Auth }}yes{{ else }}no{{ end }}", "yes");
    check("{{ if .Empty }}yes{{ else }}no{{ end }}", "no");
    check("{{ if .Zero }}yes{{ end }}", "");
    check("{{ if .Labels.missing }}yes{{ else }}no{{ end }}", "no");
    let chain = "{{ if eq .Port 1 }}one{{ else if eq .Port 15010 }}two{{ else }}three{{ end }}";
    check(chain, "two");
    check("{{ if .Auth }}{{ if .Empty }}a{{ end }}b{{ end }}c", "bc");
}

#[test]
fn comparisons() {
    for (expression, expected) in [
        ("eq .Auth \"enable\"", "true"),
        ("eq .Auth \"a\" \"enable\"", "true"),
        ("ne .Auth \"enable\"", "false"),
        ("lt 1 2", "true"),
        ("le 2 2", "true"),
        ("gt 1 2", "false"),
        ("ge .Port 15010", "true"),
        ("not .Empty", "true"),
        ("and .Auth .Empty", ""),
        ("or .Empty .Auth", "enable"),
        ("and .Auth (eq .Port 15010)", "true"),
        ("or .Auth .Missing", "enable"),
        ("len .List", "2"),
        ("index .List 1", "b"),
        ("index .Labels \"app\"", "web"),
        ("printf \"%s:%d\" .PodName .Port", "web-1:15010"),
        ("printf \"%q %v%%\" .PodName .List", "\"web-1\" [a b]%"),
        ("print .PodName 1 2", "web-11 2"),
        (".PodName | printf \"<%s>\"", "<web-1>"),
        (".Empty | not | not", "false"),
    ] {
        check(&format!("{{{{ {expression} }}}}"), expected);
    }
}

#[test]
fn ranges_and_with() {
    check("{{ range .List }}<{{ . }}>{{ end }}", "<a><b>");
    check("{{ range .Nothing }}x{{ else }}none{{ end }}", "none");
    check(
        "{{ range $i, $e := .List }}{{ $i }}{{ $e }} {{ end }}",
        "0a 1b ",
    );
    check(
        "{{ range $e := .List }}{{ $e }}{{ $.Port }}{{ end }}",
        "a15010b15010",
    );
    check(
        "{{ range $k, $v := .Labels }}{{ $k }}={{ $v }};{{ end }}",
        "app=web;version=v1;",
    );
    check("{{ with .Labels }}{{ .version }}{{ end }}", "v1");
    check(
        "{{ with $x := .Auth }}{{ $x }}{{ . }}{{ end }}",
        "enableenable",
    );
    check(
        "{{ with .Empty }}a{{ else with .Auth }}{{ . }}{{ else }}b{{ end }}",
        "enable",
    );
}

#[test]
fn variables_and_scopes() {
    check("{{ $x := .Port }}{{ $x }}", "15010");
    check(
        "{{ $x := 1 }}{{ if .On }}{{ $x = 2 }}{{ end }}{{ $x }}",
        "2",
    );
    check(
        "{{ $x := 1 }}{{ if .On }}{{ $x := 2 }}{{ end }}{{ $x }}",
        "1",
    );
    check("{{ $l := .Labels }}{{ $l.app }}", "web");
    wrong(
        "{{ if .On }}{{ $x := 2 }}{{ end }}{{ $x }}",
        "1:38",
        "$x is not declared",
    );
}

#[test]
fn white_space_is_trimmed_where_marked() {
    check("a \n {{- .Port }} \n b", "a15010 \n b");
    check("a {{ .Port -}} \n b", "a 15010b");
    check("a\n{{- if .On }}\nb\n{{- end }}\nc", "a\nb\nc");
    check("a {{- /* a {{ comment */ -}} b", "ab");
    check("a {{/* a comment */}} b", "a  b");
    check("{{- 3 -}}", "3");
    // Without a space it is a sign.
    check("a {{-3}}", "a -3");
}

#[test]
fn what_is_not_known_has_a_place() {
    for (template, place, says) in [
        (
            "a\n  {{ .Nope }}",
            "2:6",
            "there is no field .Nope; there are Auth, Empty",
        ),
        ("{{ template \"x\" }}", "1:4", "template is not supported"),
        (
            "{{ define \"x\" }}{{ end }}",
            "1:4",
            "define is not supported",
        ),
        (
            "{{ toYaml .Labels }}",
            "1:4",
            "there is no function toYaml; the functions are and, eq",
        ),
        ("{{ .PodName | upper }}", "1:15", "no function upper"),
        (
            "{{ .PodName | .Port }}",
            "1:15",
            "behind a | stands a function",
        ),
        ("{{ .PodName .Port }}", "1:13", "the first is no function"),
        ("{{ if .On }}x", "1:4", "no {{end}}"),
        ("x{{ end }}", "1:5", "nothing open for {{end}}"),
        ("{{ else }}", "1:4", "nothing open for {{else}}"),
        (
            "{{ if .On }}{{ else }}{{ else }}{{ end }}",
            "1:26",
            "a second else",
        ),
        ("{{ .PodName", "1:1", "no }}"),
        ("{{ \"a }}", "1:4", "closing quote"),
        ("{{ }}", "1:4", "a value is missing"),
        ("{{/* a", "1:1", "no */"),
        (
            "{{ eq .Port \"a\" }}",
            "1:4",
            "a number and a text cannot be compared",
        ),
        ("{{ eq .Port }}", "1:4", "does not take"),
        ("{{ .Labels.missing }}", "1:4", "there is no value"),
        ("{{ .PodName.x }}", "1:4", "is no map"),
        ("{{ range .PodName }}{{ end }}", "1:10", "lists and maps"),
        ("{{ 1.5 }}", "1:4", "decimal and whole"),
        ("{{ # }}", "1:4", "'#' is not understood"),
        ("{{ (eq 1 1 }}", "1:4", "no )"),
        ("{{ .. }}", "1:5", "name of a field"),
        ("{{ index .List 5 }}", "1:4", "no element 5"),
        ("{{ printf \"%x\" 1 }}", "1:4", "%x"),
        (
            "{{ if .On }}{{ break }}{{ end }}",
            "1:16",
            "break is not supported",
        ),
        ("ä{{ .Nope }}", "1:5", "no field"),
    ] {
        wrong(template, place, says);
    }
}

#[test]
fn depth_has_a_limit() {
    let deep = format!("{}{}", "{{ if .On }}".repeat(100), "{{ end }}".repeat(100));
    assert!(render(&deep, &data()).is_err());
    let deep = format!("{{{{ {}1{} }}}}", "(".repeat(1000), ")".repeat(1000));
    assert!(render(&deep, &data()).is_err());
    // What stands beside one another is not deep.
    check(&"{{ if .On }}{{ end }}".repeat(100), "");
    check(
        &format!("{{{{ or {} }}}}", "(eq 1 2) ".repeat(100)),
        "false",
    );
}
