//! The forms of output.

use std::io::{BufWriter, Write};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Output {
    /// A table.
    #[default]
    #[value(alias = "table")]
    Short,
    /// Everything there is, as JSON.
    Json,
    /// Everything there is, as YAML.
    Yaml,
}

impl Output {
    /// Writes `value` unless a table is wanted; says whether it did.
    pub(super) fn data(self, value: &impl Serialize, out: &mut dyn Write) -> Result<bool> {
        match self {
            Self::Short => return Ok(false),
            Self::Json => {
                // Standard output is flushed at every line, of which there may be millions.
                let mut out = BufWriter::new(out);
                serde_json::to_writer_pretty(&mut out, value)
                    .map_err(std::io::Error::from)
                    .context("writing JSON")?;
                writeln!(out)?;
                out.flush()?;
            }
            Self::Yaml => {
                // Text first: an error of `out` is to stay one, so that a closed pipe is known as such.
                let text = serde_saphyr::to_string(value).context("writing YAML")?;
                out.write_all(text.as_bytes())?;
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn written(output: Output, value: &Value) -> String {
        let mut out = Vec::new();
        output.data(value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forms() {
        let value = json!([{ "name": "outbound|80||a", "on": true, "port": 80 }]);
        assert_eq!(written(Output::Short, &value), "");
        assert_eq!(
            written(Output::Json, &value),
            "[\n  {\n    \"name\": \"outbound|80||a\",\n    \"on\": true,\n    \"port\": 80\n  }\n]\n"
        );
        let yaml = written(Output::Yaml, &value);
        let again: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(again, value, "{yaml}");
    }

    /// What YAML would take for something else is written so that it does not.
    #[test]
    fn yaml_keeps_texts_texts() {
        let value = json!({ "a": ["yes", "1.0", "0755", "null", "", "~", "a: b", "- x", "#", "*", "15s", "line\nline\n"] });
        let yaml = written(Output::Yaml, &value);
        let again: Value = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(again, value, "{yaml}");
    }

    #[test]
    fn a_closed_pipe_is_known_as_one() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
                Err(std::io::ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        for output in [Output::Json, Output::Yaml] {
            let error = output.data(&json!({ "a": 1 }), &mut Closed).unwrap_err();
            let kinds: Vec<_> = error
                .chain()
                .filter_map(|cause| Some(cause.downcast_ref::<std::io::Error>()?.kind()))
                .collect();
            assert_eq!(kinds, [std::io::ErrorKind::BrokenPipe], "{output:?}");
        }
    }
}
