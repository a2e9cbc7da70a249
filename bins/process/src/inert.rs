//! Flags of Istio's binaries that mean nothing here. Each is accepted, so that a manifest written for the original starts,
//! and answered with one warning that says why it has no effect. Which flags those are, each binary's own table says.

use clap::{Arg, ArgAction, ArgMatches};

/// A flag that is accepted and ignored.
#[derive(Debug)]
pub struct Inert {
    /// Its name, without dashes.
    pub name: &'static str,
    /// Its one-letter form.
    pub short: Option<char>,
    /// Whether a value follows.
    takes: Takes,
    /// Why it has no effect.
    pub why: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Takes {
    Value,
    Switch,
}

const ROTATION: &str = "log files are not rotated by the process: use the platform's log rotation";

/// `--log_rotate`.
pub const LOG_ROTATE: Inert = value("log_rotate", ROTATION);
/// `--log_rotate_max_age`.
pub const LOG_ROTATE_MAX_AGE: Inert = value("log_rotate_max_age", ROTATION);
/// `--log_rotate_max_size`.
pub const LOG_ROTATE_MAX_SIZE: Inert = value("log_rotate_max_size", ROTATION);
/// `--log_rotate_max_backups`.
pub const LOG_ROTATE_MAX_BACKUPS: Inert = value("log_rotate_max_backups", ROTATION);
/// `--log_caller`.
pub const LOG_CALLER: Inert = value(
    "log_caller",
    "log lines carry their scope; no caller is recorded",
);

/// These flags for the parser: hidden, and only looked at by [`warnings`].
pub fn arguments(table: &'static [Inert]) -> impl Iterator<Item = Arg> {
    table.iter().map(|flag| {
        let arg = Arg::new(flag.name)
            .long(flag.name)
            .hide(true)
            .action(ArgAction::Append);
        let arg = match flag.short {
            Some(letter) => arg.short(letter),
            None => arg,
        };
        match flag.takes {
            Takes::Value => arg.num_args(1).allow_hyphen_values(true),
            Takes::Switch => arg
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value("true"),
        }
    })
}

/// One warning for each flag of the table that was given.
pub fn warnings(table: &[Inert], matches: &ArgMatches) -> Vec<String> {
    table
        .iter()
        .filter(|flag| crate::given(matches, flag.name))
        .map(|flag| format!("--{} has no effect: {}", flag.name, flag.why))
        .collect()
}

/// A flag that has a value.
pub const fn value(name: &'static str, why: &'static str) -> Inert {
    Inert {
        name,
        short: None,
        takes: Takes::Value,
        why,
    }
}

/// A flag that is on when it is given, or has `=true` or `=false`.
pub const fn switch(name: &'static str, why: &'static str) -> Inert {
    Inert {
        name,
        short: None,
        takes: Takes::Switch,
        why,
    }
}

/// A flag that also has a one-letter form.
pub const fn short(letter: char, flag: Inert) -> Inert {
    Inert {
        short: Some(letter),
        ..flag
    }
}
