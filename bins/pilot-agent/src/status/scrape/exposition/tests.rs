use Format::{OpenMetrics, Text};

use super::*;

/// Writes these pages as one.
fn merge(pages: &[(Format, &str)], to: Format) -> String {
    let mut writer = Writer::new(to);
    let mut all = Vec::new();
    for (from, page) in pages {
        writer.feed(*from, page.as_bytes()).unwrap();
        writer.last_line(*from);
        writer.end_of_page();
        all.extend_from_slice(&writer.take());
    }
    all.extend_from_slice(&writer.finish());
    String::from_utf8(all).unwrap()
}

fn check(from: Format, page: &str, to: Format, expected: &str) {
    assert_eq!(merge(&[(from, page)], to), expected, "{page}");
}

#[test]
fn one_format_is_passed_on() {
    let text = "# HELP a_total What \"a\" is.\n# TYPE a_total counter\na_total{x=\"} # 1\"} 3 1700000000123\n";
    check(Text, text, Text, text);
    let open = "# HELP a What \\\"a\\\" is.\n# TYPE a counter\n# UNIT a seconds\na_total 3 17.5 # {id=\"9\"} 1.0 17.4\na_created 1.0\n# EOF\n";
    check(OpenMetrics, open, OpenMetrics, open);
}

#[test]
fn text_becomes_open_metrics() {
    check(
        Text,
        "# A comment.\n\n\
         # HELP a_total What \"a\" is.\n# TYPE a_total counter\na_total{x=\"y\"} 3 1700000000123\n\
         # TYPE b counter\nb{x=\"y\"} 1\n\
         # TYPE c untyped\nc NaN\n\
         # TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n",
        OpenMetrics,
        "# HELP a What \\\"a\\\" is.\n# TYPE a counter\na_total{x=\"y\"} 3 1700000000.123\n\
         # TYPE b unknown\nb{x=\"y\"} 1\n\
         # TYPE c unknown\nc NaN\n\
         # TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_sum 2\nh_count 1\n\
         # EOF\n",
    );
}

#[test]
fn open_metrics_becomes_text() {
    check(
        OpenMetrics,
        "# TYPE a counter\n# HELP a What \\\"a\\\" is.\n# UNIT a seconds\na_total 3 17.5 # {id=\"9\"} 1.0\n\
         # TYPE build info\nbuild_info{v=\"1\"} 1\n\
         # TYPE s stateset\ns{s=\"on\"} 1\n\
         # TYPE u unknown\nu 1\n# EOF\n",
        Text,
        "# TYPE a_total counter\n# HELP a_total What \"a\" is.\na_total 3 17500\n\
         # TYPE build_info gauge\nbuild_info{v=\"1\"} 1\n\
         # TYPE s gauge\ns{s=\"on\"} 1\n\
         # TYPE u untyped\nu 1\n",
    );
}

#[test]
fn a_family_of_two_pages_is_described_once() {
    let theirs = "# HELP up Theirs.\n# TYPE up gauge\nup{of=\"them\"} 1\n";
    let ours = "# HELP up Ours.\n# TYPE up gauge\nup{of=\"us\"} 1\n# EOF\n";
    let both = "# HELP up Theirs.\n# TYPE up gauge\nup{of=\"them\"} 1\nup{of=\"us\"} 1\n";
    let pages = [(Text, theirs), (OpenMetrics, ours)];
    assert_eq!(merge(&pages, Text), both);
    assert_eq!(merge(&pages, OpenMetrics), format!("{both}# EOF\n"));
}

#[test]
fn what_is_no_metric_is_left_out() {
    check(
        Text,
        "<html>\na\nb{x=\"y\n9 1\nc one\nd 1 2 3\ne{x=\"\\\"}\"} 1\n{\"f.g\",x=\"y\"} 1\n# TYPE \"f.g\" counter\nh {x=\"y\"} 2",
        Text,
        "e{x=\"\\\"}\"} 1\n{\"f.g\",x=\"y\"} 1\n# TYPE \"f.g\" counter\nh {x=\"y\"} 2\n",
    );
}

#[test]
fn pieces_may_end_anywhere() {
    let page = "# TYPE a gauge\na{x=\"ä\"} 1\r\na{x=\"ö\"} 2";
    let whole = merge(&[(Text, page)], Text);
    for size in 1..page.len() {
        let mut writer = Writer::new(Text);
        for piece in page.as_bytes().chunks(size) {
            writer.feed(Text, piece).unwrap();
        }
        writer.last_line(Text);
        writer.end_of_page();
        assert_eq!(writer.finish(), whole.as_bytes(), "pieces of {size}");
    }
}

#[test]
fn half_a_line_is_left_out() {
    let mut writer = Writer::new(OpenMetrics);
    writer.feed(Text, b"a 1\nb 12").unwrap();
    writer.end_of_page();
    writer.feed(Text, b"c 3\n").unwrap();
    assert_eq!(writer.finish(), "a 1\nc 3\n# EOF\n");
    let mut writer = Writer::new(Text);
    assert!(writer.feed(Text, &vec![b'a'; LINE]).is_ok());
    assert!(writer.feed(Text, b"a").is_err());
}

#[test]
fn what_a_scraper_likes() {
    let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
    for (accept, expected) in [
        (prometheus, OpenMetrics),
        ("application/openmetrics-text", OpenMetrics),
        (
            "text/plain;version=0.0.4, application/openmetrics-text;q=0.5",
            Text,
        ),
        ("application/openmetrics-text;q=0", Text),
        ("*/*", Text),
        ("", Text),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        assert_eq!(Format::wanted(&headers), expected, "{accept}");
    }
}

#[test]
fn what_a_page_is() {
    for (content_type, expected) in [
        (Some("text/plain; version=0.0.4; charset=utf-8"), Some(Text)),
        (
            Some("application/openmetrics-text; version=1.0.0"),
            Some(OpenMetrics),
        ),
        (Some("text/html"), None),
        (None, Some(Text)),
    ] {
        let value = content_type.map(HeaderValue::from_static);
        assert_eq!(Format::of(value.as_ref()), expected, "{content_type:?}");
    }
}
