//! The two text formats of metrics, and how a line of one is written in the other.
//!
//! OpenMetrics is the stricter: a page ends with `# EOF`, has no empty lines and no comments; counters are named without the
//! `_total` of their samples; times are in seconds, not milliseconds; samples may carry exemplars. What a format cannot say is
//! left out, what it says differently is rewritten, and names of samples never change.

mod line;

use std::collections::BTreeSet;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};

use line::{Line, Metadata};

/// A text format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// Prometheus' own, version 0.0.4.
    Text,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// What a scraper with these headers likes best.
    pub(super) fn wanted(headers: &HeaderMap) -> Self {
        let ranges = headers
            .get_all(header::ACCEPT)
            .iter()
            .filter_map(|accept| accept.to_str().ok())
            .flat_map(|accept| accept.split(','));
        let (mut text, mut open_metrics) = (0.0_f64, 0.0_f64);
        for range in ranges {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default();
            let weight = parts
                .find_map(|part| part.strip_prefix("q="))
                .and_then(|weight| weight.parse().ok())
                .unwrap_or(1.0);
            if kind.eq_ignore_ascii_case(OPEN_METRICS) {
                open_metrics = open_metrics.max(weight);
            } else if ["text/plain", "text/*", "*/*"]
                .iter()
                .any(|of| kind.eq_ignore_ascii_case(of))
            {
                text = text.max(weight);
            }
        }
        match open_metrics > 0.0 && open_metrics >= text {
            true => Self::OpenMetrics,
            false => Self::Text,
        }
    }

    /// The format of a page with this type; nothing if it is neither.
    pub(super) fn of(content_type: Option<&HeaderValue>) -> Option<Self> {
        let Some(content_type) = content_type else {
            return Some(Self::Text);
        };
        let kind = content_type.to_str().ok()?.split(';').next()?.trim();
        if kind.eq_ignore_ascii_case(OPEN_METRICS) {
            return Some(Self::OpenMetrics);
        }
        (kind.is_empty() || kind.eq_ignore_ascii_case("text/plain")).then_some(Self::Text)
    }

    /// How it is asked for.
    pub(super) fn accept(self) -> &'static str {
        match self {
            Self::Text => "text/plain;version=0.0.4",
            Self::OpenMetrics => {
                "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3"
            }
        }
    }

    /// How a page of it is announced.
    pub(super) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// No line of metrics is longer.
const LINE: usize = 1 << 20;

/// A page has a line without an end.
#[derive(Debug, thiserror::Error)]
#[error("it has a line of more than {LINE} bytes")]
pub(super) struct LineTooLong;

/// Writes several pages as one.
#[derive(Debug)]
pub(super) struct Writer {
    to: Format,
    out: Vec<u8>,
    /// The beginning of a line whose end has not come yet.
    begun: Vec<u8>,
    /// Help, which may stand before the type that decides about its name.
    help: Option<(String, String)>,
    /// The family as its page calls it, and as it is called here.
    family: Option<(String, String)>,
    /// What has been said of which family: a second time would be an error of the page.
    told: BTreeSet<(&'static str, String)>,
}

impl Writer {
    pub(super) fn new(to: Format) -> Self {
        Self {
            to,
            out: Vec::new(),
            begun: Vec::new(),
            help: None,
            family: None,
            told: BTreeSet::new(),
        }
    }

    /// A piece of a page, which ends anywhere.
    pub(super) fn feed(&mut self, from: Format, piece: &[u8]) -> Result<(), LineTooLong> {
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (head, tail) = rest.split_at(end);
            self.begun.extend_from_slice(head);
            self.end_line(from);
            rest = tail.get(1..).unwrap_or_default();
        }
        self.begun.extend_from_slice(rest);
        match self.begun.len() > LINE {
            true => Err(LineTooLong),
            false => Ok(()),
        }
    }

    /// A page has ended as it should, perhaps without the end of its last line.
    pub(super) fn last_line(&mut self, from: Format) {
        self.end_line(from);
    }

    /// A page has ended, perhaps in the middle of a line.
    pub(super) fn end_of_page(&mut self) {
        self.begun.clear();
        self.flush_help();
        self.family = None;
    }

    /// One line of a page. What is no line of metrics is left out.
    pub(super) fn line(&mut self, from: Format, text: &str) {
        match Line::parse(text) {
            None => {}
            Some(Line::Metadata(Metadata::Help, name, help)) => {
                self.flush_help();
                let help = line::help(help, from, self.to);
                match &self.family {
                    Some((theirs, ours)) if theirs == name => {
                        let ours = ours.clone();
                        self.tell("HELP", &ours, &help);
                    }
                    _ => self.help = Some((name.to_owned(), help)),
                }
            }
            Some(Line::Metadata(Metadata::Type, name, kind)) => {
                let (ours, kind) = line::family(name, kind, from, self.to);
                self.family = Some((name.to_owned(), ours.clone()));
                if let Some((about, help)) = self.help.take() {
                    let about = if about == name { ours.clone() } else { about };
                    self.tell("HELP", &about, &help);
                }
                self.tell("TYPE", &ours, kind);
            }
            Some(Line::Metadata(Metadata::Unit, name, unit)) => {
                self.flush_help();
                if self.to == Format::OpenMetrics {
                    self.tell("UNIT", name, unit);
                }
            }
            Some(Line::Sample(sample)) => {
                self.flush_help();
                sample.write(from, self.to, &mut self.out);
            }
        }
    }

    /// What can be sent so far.
    pub(super) fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.out).into()
    }

    /// The end of the page.
    pub(super) fn finish(mut self) -> Bytes {
        self.flush_help();
        if self.to == Format::OpenMetrics {
            self.out.extend_from_slice(b"# EOF\n");
        }
        self.out.into()
    }

    fn end_line(&mut self, from: Format) {
        let begun = std::mem::take(&mut self.begun);
        if let Ok(text) = std::str::from_utf8(&begun) {
            self.line(from, text);
        }
    }

    fn flush_help(&mut self) {
        if let Some((name, help)) = self.help.take() {
            self.tell("HELP", &name, &help);
        }
    }

    fn tell(&mut self, what: &'static str, name: &str, text: &str) {
        if self.told.insert((what, name.to_owned())) {
            self.out
                .extend_from_slice(format!("# {what} {name} {text}\n").as_bytes());
        }
    }
}

#[cfg(test)]
mod tests;
