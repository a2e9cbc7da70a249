//! Single lines of metrics.

use super::Format;

/// A line that says something.
#[derive(Debug, PartialEq)]
pub(super) enum Line<'a> {
    /// Something about a family: its name, and what is said.
    Metadata(Metadata, &'a str, &'a str),
    /// A value.
    Sample(Sample<'a>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Metadata {
    Help,
    Type,
    Unit,
}

/// A value with its name and labels.
#[derive(Debug, PartialEq)]
pub(super) struct Sample<'a> {
    /// Name and labels.
    series: &'a str,
    value: &'a str,
    time: Option<&'a str>,
    /// From its `#` on.
    exemplar: Option<&'a str>,
}

impl<'a> Line<'a> {
    /// Reads a line; nothing for comments, empty lines, the end of a page, and what is no line of metrics.
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if let Some(comment) = text.strip_prefix('#') {
            let (what, rest) = comment.trim_start().split_once([' ', '\t'])?;
            let (name, said) = name(rest.trim_start())?;
            let what = match what {
                "HELP" => Metadata::Help,
                "TYPE" => Metadata::Type,
                "UNIT" => Metadata::Unit,
                _ => return None,
            };
            return Some(Self::Metadata(what, name, said.trim_start()));
        }
        let end = series_end(text)?;
        let (series, rest) = text.split_at(end);
        let (numbers, exemplar) = match rest.find('#') {
            Some(at) => (rest.get(..at)?, rest.get(at..)),
            None => (rest, None),
        };
        let mut numbers = numbers.split_whitespace();
        let sample = Sample {
            series,
            value: numbers.next()?,
            time: numbers.next(),
            exemplar,
        };
        (numbers.next().is_none() && sample.value.parse::<f64>().is_ok())
            .then_some(Self::Sample(sample))
    }
}

impl Sample<'_> {
    /// Writes it in the format `to`.
    pub(super) fn write(&self, from: Format, to: Format, out: &mut Vec<u8>) {
        let mut line = format!("{} {}", self.series, self.value);
        let time = self.time.and_then(|time| in_time(time, from, to));
        if let Some(time) = time {
            line.push(' ');
            line.push_str(&time);
        }
        if let (Some(exemplar), Format::OpenMetrics) = (self.exemplar, to) {
            line.push(' ');
            line.push_str(exemplar);
        }
        line.push('\n');
        out.extend_from_slice(line.as_bytes());
    }
}

/// A time of one format in the other: whole milliseconds, or seconds with a fraction.
fn in_time(time: &str, from: Format, to: Format) -> Option<String> {
    match (from, to) {
        (Format::Text, Format::OpenMetrics) => {
            let millis: i64 = time.parse().ok()?;
            let sign = if millis < 0 { "-" } else { "" };
            let millis = millis.unsigned_abs();
            Some(format!("{sign}{}.{:03}", millis / 1000, millis % 1000))
        }
        (Format::OpenMetrics, Format::Text) => {
            let seconds: f64 = time.parse().ok()?;
            seconds
                .is_finite()
                .then(|| format!("{:.0}", seconds * 1000.0))
        }
        _ => Some(time.to_owned()),
    }
}

/// What a family is called, and of which type it is, in the format `to`.
pub(super) fn family<'a>(name: &str, kind: &'a str, from: Format, to: Format) -> (String, &'a str) {
    let same = |kind| (name.to_owned(), kind);
    // A quoted name cannot be given a suffix by hanging one on; then less is said of the family.
    let quoted = name.starts_with('"');
    match (from, to, kind) {
        (Format::Text, Format::OpenMetrics, "counter") => match name.strip_suffix("_total") {
            Some(base) => (base.to_owned(), kind),
            // Its samples would have to be renamed.
            None => same("unknown"),
        },
        (Format::Text, Format::OpenMetrics, "untyped") => same("unknown"),
        (Format::OpenMetrics, Format::Text, "counter" | "info") if quoted => same("untyped"),
        (Format::OpenMetrics, Format::Text, "counter") => (format!("{name}_total"), kind),
        (Format::OpenMetrics, Format::Text, "info") => (format!("{name}_info"), "gauge"),
        (Format::OpenMetrics, Format::Text, "stateset") => same("gauge"),
        (Format::OpenMetrics, Format::Text, "unknown" | "gaugehistogram") => same("untyped"),
        _ => same(kind),
    }
}

/// Help of one format in the other: only OpenMetrics escapes quotes.
pub(super) fn help(text: &str, from: Format, to: Format) -> String {
    match (from, to) {
        (Format::Text, Format::OpenMetrics) => text.replace('"', "\\\""),
        (Format::OpenMetrics, Format::Text) => text.replace("\\\"", "\""),
        _ => text.to_owned(),
    }
}

/// The name at the beginning of `text`, which may be quoted, and the rest.
fn name(text: &str) -> Option<(&str, &str)> {
    let end = if text.starts_with('"') {
        quoted_end(text, 0)?
    } else {
        text.find([' ', '\t']).unwrap_or(text.len())
    };
    (end > 0).then(|| text.split_at(end))
}

/// Where name and labels end.
fn series_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = *bytes.first()?;
    if !(first.is_ascii_alphabetic() || first == b'_' || first == b':' || first == b'{') {
        return None;
    }
    let open = bytes
        .iter()
        .position(|byte| matches!(byte, b'{' | b' ' | b'\t'))?;
    if bytes.get(open) != Some(&b'{') {
        // Labels may stand apart from their name.
        let rest = text.get(open..)?;
        let apart = open + (rest.len() - rest.trim_start().len());
        if bytes.get(apart) != Some(&b'{') {
            return Some(open);
        }
        return labels_end(text, apart);
    }
    labels_end(text, open)
}

/// Behind the `}` that belongs to the `{` at `open`.
fn labels_end(text: &str, open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.as_bytes().get(at)? {
            b'}' => return Some(at + 1),
            b'"' => at = quoted_end(text, at)?,
            _ => at += 1,
        }
    }
}

/// Behind the `"` that belongs to the one at `open`.
fn quoted_end(text: &str, open: usize) -> Option<usize> {
    let mut at = open + 1;
    loop {
        match text.as_bytes().get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}
