//! Rows as they are written, a line each: a request, `=>`, and what becomes of it.

use super::outcome::{Expected, Who};

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    /// The line, for whoever looks at a failure.
    pub(crate) text: String,
    pub(crate) request: Request,
    pub(crate) expected: Expected,
}

/// A request as it is sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Request {
    /// `GET` and the like, `TCP`, or `TLS`.
    pub(crate) method: String,
    /// The host as it is written, with a port if one is.
    pub(crate) authority: String,
    /// The port of the service.
    pub(crate) port: u16,
    pub(crate) path: String,
    /// The address to connect to.
    pub(crate) via: Option<String>,
    pub(crate) sni: Option<String>,
    pub(crate) http2: bool,
    pub(crate) headers: Vec<(String, String)>,
}

/// All rows of a text: empty lines and those that begin with `#` are none.
pub(crate) fn read(text: &str) -> Vec<Row> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(row)
        .collect()
}

fn row(line: &str) -> Row {
    let (request, expected) = line
        .split_once("=>")
        .unwrap_or_else(|| panic!("{line:?} has no =>"));
    Row {
        text: line.to_owned(),
        request: self::request(request.trim()),
        expected: self::expected(expected.trim()),
    }
}

/// `METHOD HOST[:PORT]/PATH header=value …`
fn request(text: &str) -> Request {
    let mut words = text.split_whitespace();
    let method = words.next().unwrap_or_default().to_owned();
    let target = words.next().unwrap_or_default();
    let end = target.find('/').unwrap_or(target.len());
    let (authority, path) = target.split_at(end);
    let port = match authority.rsplit_once(':') {
        Some((_, port)) => port.parse().unwrap_or_else(|_| panic!("{text:?}: {port}")),
        None => 80,
    };
    let mut request = Request {
        method,
        authority: authority.to_owned(),
        port,
        path: if path.is_empty() { "/" } else { path }.to_owned(),
        ..Request::default()
    };
    for word in words {
        match word.split_once('=') {
            None if word == "http2" => request.http2 = true,
            Some(("via", address)) => request.via = Some(address.to_owned()),
            Some(("sni", name)) => request.sni = Some(name.to_owned()),
            Some((name, value)) => request.headers.push((name.to_owned(), value.to_owned())),
            None => panic!("{text:?}: {word:?}"),
        }
    }
    request
}

/// `BACKEND|BACKEND`, a status, or `closed`; then what is looked at in the request as it arrived and in the answer.
fn expected(text: &str) -> Expected {
    let mut words = text.split_whitespace();
    let who = words.next().unwrap_or_default();
    let mut expected = Expected {
        who: match (who, who.parse()) {
            ("closed", _) => Who::Closed,
            (_, Ok(status)) => Who::Status(status),
            (names, _) => Who::Backend(names.split('|').map(str::to_owned).collect()),
        },
        ..Expected::default()
    };
    for word in words {
        let pair = || {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            (name.to_owned(), value.to_owned())
        };
        if let Some(name) = word.strip_prefix("<-") {
            expected.answer_lacks.push(name.to_owned());
        } else if let Some(header) = word.strip_prefix('<') {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            expected
                .answer_has
                .push((name.to_owned(), value.to_owned()));
        } else if let Some(name) = word.strip_prefix('-') {
            expected.request_lacks.push(name.to_owned());
        } else if let Some(header) = word.strip_prefix('+') {
            let (name, value) = header.split_once('=').unwrap_or((header, ""));
            expected
                .request_has
                .push((name.to_owned(), value.to_owned()));
        } else {
            let (name, value) = pair();
            match name.as_str() {
                "path" => expected.path = Some(value),
                "host" => expected.host = Some(value),
                "method" => expected.method = Some(value),
                "body" => expected.body = Some(value),
                "location" => expected.answer_has.push(("location".into(), value)),
                flag => expected.flag = Some(flag.to_owned()),
            }
        }
    }
    expected
}

#[test]
fn a_row_is_read() {
    let rows = read(
        "\n# a comment\nPOST a.test:81/x?y=1 end-user=jason http2 => v1|v2 path=/z +a=b -c <d=e <-f\n",
    );
    let row = &rows[0];
    assert_eq!(
        row.request,
        Request {
            method: "POST".into(),
            authority: "a.test:81".into(),
            port: 81,
            path: "/x?y=1".into(),
            http2: true,
            headers: vec![("end-user".into(), "jason".into())],
            ..Request::default()
        }
    );
    assert_eq!(
        row.expected,
        Expected {
            who: Who::Backend(["v1".into(), "v2".into()].into()),
            path: Some("/z".into()),
            request_has: vec![("a".into(), "b".into())],
            request_lacks: vec!["c".into()],
            answer_has: vec![("d".into(), "e".into())],
            answer_lacks: vec!["f".into()],
            ..Expected::default()
        }
    );
}
