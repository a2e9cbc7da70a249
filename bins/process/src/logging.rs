//! Logs: lines of data under scopes whose levels can be changed while the process runs.
//!
//! `tracing` events come in; a line of text or JSON goes out to each target. Which events, [`Levels`] says; how a line
//! looks and why nothing breaks out of it is in `line`.

mod args;
mod levels;
mod line;

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, reload};

pub use args::LogArgs;
pub use levels::{Levels, SCOPES, Scope};
use line::{Fields, Line};

/// How the process logs.
#[derive(Debug, Clone)]
pub struct Options {
    /// The levels at start.
    pub output: Levels,
    /// At these levels and worse ones a line carries a stack trace.
    pub stack: Levels,
    /// Objects of JSON in place of text.
    pub json: bool,
    /// Where lines go.
    pub targets: Vec<Target>,
}

impl Options {
    /// Of a command that prints its result: lines of text to standard error, from `info` on.
    pub fn of_a_command() -> Self {
        Self {
            output: Levels::all(LevelFilter::INFO),
            stack: Levels::all(LevelFilter::OFF),
            json: false,
            targets: vec![Target::Stderr],
        }
    }
}

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

impl From<&str> for Target {
    fn from(text: &str) -> Self {
        match text {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            path => Self::File(path.into()),
        }
    }
}

/// Changes levels of a process that logs. Clones change the same.
#[derive(Debug, Clone)]
pub struct Control(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    levels: Levels,
    filter: reload::Handle<Targets, Registry>,
}

impl Control {
    /// The levels in force.
    pub fn levels(&self) -> Levels {
        self.state().levels.clone()
    }

    /// Applies `scope:level,...` on top of them and returns the result.
    ///
    /// # Errors
    /// A scope or level is unknown. Nothing changes then.
    pub fn change(&self, list: &str) -> Result<Levels, String> {
        let mut state = self.state();
        let levels = state.levels.with(list)?;
        state
            .filter
            .reload(levels.filter())
            .map_err(|error| format!("the levels cannot be changed: {error}"))?;
        state.levels = levels.clone();
        Ok(levels)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Logs as `options` say from here on, for the whole process.
///
/// # Errors
/// A log file cannot be opened, or the process logs already.
pub fn install(options: &Options) -> io::Result<Control> {
    let outputs = options
        .targets
        .iter()
        .map(open)
        .collect::<io::Result<Vec<_>>>()?;
    let (subscriber, control) = with_outputs(options, outputs);
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)?;
    Ok(control)
}

type Output = Box<dyn Write + Send>;

fn with_outputs(
    options: &Options,
    outputs: Vec<Output>,
) -> (impl Subscriber + Send + Sync + use<>, Control) {
    let (filter, handle) = reload::Layer::new(options.output.filter());
    let lines = Lines {
        stack: options.stack.filter(),
        json: options.json,
        outputs: Mutex::new(outputs),
    };
    let control = Control(Arc::new(Mutex::new(State {
        levels: options.output.clone(),
        filter: handle,
    })));
    (
        tracing_subscriber::registry().with(lines.with_filter(filter)),
        control,
    )
}

fn open(target: &Target) -> io::Result<Output> {
    Ok(match target {
        Target::Stdout => Box::new(io::stdout()),
        Target::Stderr => Box::new(io::stderr()),
        Target::File(path) => Box::new(
            OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(|error| {
                    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
                })?,
        ),
    })
}

/// Writes each event as a line.
struct Lines {
    stack: Targets,
    json: bool,
    outputs: Mutex<Vec<Output>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        for span in context.event_scope(event).into_iter().flatten() {
            if let Some(outer) = span.extensions().get::<Fields>() {
                fields.0.extend(outer.0.iter().cloned());
            }
        }
        let meta = event.metadata();
        let stack = self
            .stack
            .would_enable(meta.target(), meta.level())
            .then(|| std::backtrace::Backtrace::force_capture().to_string());
        let line = Line {
            at: Timestamp::now(),
            level: level(*meta.level()),
            scope: levels::scope_of(meta.target()),
            fields: &fields.0,
            stack,
        };
        let line = if self.json { line.json() } else { line.text() };
        let mut outputs = self.outputs.lock().unwrap_or_else(PoisonError::into_inner);
        for output in outputs.iter_mut() {
            // There is nowhere left to say that a log cannot be written.
            let _ = output.write_all(line.as_bytes());
            let _ = output.flush();
        }
    }
}

fn level(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "error",
        tracing::Level::WARN => "warn",
        tracing::Level::INFO => "info",
        _ => "debug",
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Sink {
        /// The lines so far, without their times.
        fn take(&self) -> Vec<String> {
            let bytes = std::mem::take(&mut *self.0.lock().unwrap());
            let text = String::from_utf8(bytes).unwrap();
            text.lines()
                .map(|line| line.split_once('\t').unwrap_or(("", line)).1.to_owned())
                .collect()
        }
    }

    fn options(output: &str, stack: &str) -> Options {
        Options {
            output: Levels::all(LevelFilter::INFO).with(output).unwrap(),
            stack: Levels::all(LevelFilter::OFF).with(stack).unwrap(),
            json: false,
            targets: Vec::new(),
        }
    }

    #[test]
    fn levels_change_while_running() {
        let sink = Sink::default();
        let (subscriber, control) =
            with_outputs(&options("default:info", ""), vec![Box::new(sink.clone())]);
        tracing::subscriber::with_default(subscriber, || {
            let speak = || {
                tracing::debug!(target: "ads", "quiet");
                tracing::info!(target: "ads", "loud");
            };
            speak();
            assert_eq!(sink.take(), ["info\tads\tloud"]);
            control.change("ads:debug").unwrap();
            speak();
            assert_eq!(sink.take(), ["debug\tads\tquiet", "info\tads\tloud"]);
            assert!(control.change("ads:debug,nonsense:info").is_err());
            assert!(control.levels().to_string().contains("ads:debug"));
            control.change("ads:none").unwrap();
            speak();
            assert_eq!(sink.take(), Vec::<String>::new());
        });
    }

    #[test]
    fn spans_say_who() {
        let sink = Sink::default();
        let (subscriber, _control) = with_outputs(&options("", ""), vec![Box::new(sink.clone())]);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(target: "ads", "stream", proxy = "web-1", version = tracing::field::Empty);
            span.record("version", "1.40.0");
            let _entered = span.enter();
            tracing::warn!(target: "ads", sent = 3, "refused");
        });
        assert_eq!(
            sink.take(),
            ["warn\tads\trefused\tsent=3 proxy=web-1 version=1.40.0"]
        );
    }

    #[test]
    fn stack_traces_where_wanted() {
        let sink = Sink::default();
        let (subscriber, _control) =
            with_outputs(&options("", "ads:error"), vec![Box::new(sink.clone())]);
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(target: "ads", "no trace");
            assert_eq!(sink.take().len(), 1);
            tracing::error!(target: "store", "no trace either");
            assert_eq!(sink.take().len(), 1);
            tracing::error!(target: "ads", "trace");
        });
        assert!(sink.take().len() > 3);
    }
}
