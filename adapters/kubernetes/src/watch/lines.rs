//! The lines of an answer that goes on and on.

use bytes::{Buf, Bytes};
use http_body_util::BodyExt;
use kube::client::Body;

use super::failing::Cause;

/// Reads lines from an answer. It can be waited for with a time-out, and goes on where it was.
pub(super) struct Lines {
    body: Body,
    max: usize,
    /// What has come and is not looked at.
    rest: Bytes,
    /// The beginning of a line.
    begun: Vec<u8>,
    too_large: bool,
}

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line {
    Text(Bytes),
    /// It has more bytes than are read.
    TooLarge,
}

impl Lines {
    pub(super) fn new(body: Body, max: usize) -> Self {
        Self {
            body,
            max,
            rest: Bytes::new(),
            begun: Vec::new(),
            too_large: false,
        }
    }

    /// The next line that is not empty; none where the answer ends. What comes after the last line's end is no line.
    pub(super) async fn next(&mut self) -> Result<Option<Line>, Cause> {
        loop {
            while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                let text = self.rest.split_to(end);
                self.rest.advance(1);
                if let Some(line) = self.line(text) {
                    return Ok(Some(line));
                }
            }
            let rest = std::mem::take(&mut self.rest);
            self.begin(&rest);
            drop(rest);
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => self.rest = frame?.into_data().unwrap_or_default(),
            }
        }
    }

    fn begin(&mut self, text: &[u8]) {
        if self.begun.len() + text.len() > self.max {
            self.begun = Vec::new();
            self.too_large = true;
        }
        if !self.too_large {
            self.begun.extend_from_slice(text);
        }
    }

    fn line(&mut self, end: Bytes) -> Option<Line> {
        let text = if self.begun.is_empty() && !self.too_large && end.len() <= self.max {
            end
        } else {
            self.begin(&end);
            std::mem::take(&mut self.begun).into()
        };
        if std::mem::take(&mut self.too_large) {
            return Some(Line::TooLarge);
        }
        (!text.trim_ascii().is_empty()).then_some(Line::Text(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_whole_and_bounded() {
        let body = Body::from(b"one\n\n  \r\ntwo\nmuch too long\nmax.\ncut off".to_vec());
        let mut lines = Lines::new(body, 4);
        let text = |text: &'static str| Some(Line::Text(Bytes::from_static(text.as_bytes())));
        let expected = [
            text("one"),
            text("two"),
            Some(Line::TooLarge),
            text("max."),
            None,
        ];
        for line in expected {
            assert_eq!(lines.next().await.unwrap(), line);
        }
    }
}
