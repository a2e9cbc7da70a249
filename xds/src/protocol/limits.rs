//! Times and sizes, and what becomes of a client that exceeds them.

use std::time::Duration;

use super::message::{Names, Request};
use crate::resource::ResourceType;

/// Times and limits of a stream.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How long the answer to a response is awaited before another one of its type may be sent.
    pub ack_timeout: Duration,
    /// How long at most resources wait for clusters that they use, and removals for the answers of what replaces them.
    pub gate: Duration,
    /// How many responses a minute may be made to find out what a rejection that names nobody is about.
    pub trials_per_minute: usize,
    /// What a client may ask for.
    pub limits: Limits,
}

/// What a client may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Names of one type.
    pub names: usize,
    /// Bytes of one name.
    pub name_len: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            ack_timeout: Duration::from_secs(5),
            gate: Duration::from_secs(5),
            trials_per_minute: 32,
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            names: 100_000,
            name_len: 4_096,
        }
    }
}

impl Limits {
    /// Whether what a request says is within the limits.
    pub(super) fn check(&self, request: &Request<'_>) -> Result<(), ProtocolError> {
        let resource_type = request.resource_type;
        match &request.names {
            Names::Delta {
                subscribe,
                unsubscribe,
                initial,
            } => {
                for len in [subscribe.len(), unsubscribe.len(), initial.len()] {
                    self.check_len(resource_type, len)?;
                }
                let names = subscribe.iter().chain(unsubscribe);
                self.check_names(resource_type, names.copied())?;
                self.check_names(resource_type, initial.iter().map(|(name, _)| *name))
            }
            Names::Sotw { names, .. } => {
                self.check_len(resource_type, names.len())?;
                self.check_names(resource_type, names.iter().copied())
            }
        }
    }

    /// Whether so many names are within the limits.
    pub(super) fn check_len(
        &self,
        resource_type: ResourceType,
        asked: usize,
    ) -> Result<(), ProtocolError> {
        if asked <= self.names {
            return Ok(());
        }
        Err(ProtocolError::TooManyNames {
            resource_type,
            asked,
            allowed: self.names,
        })
    }

    fn check_names<'a>(
        &self,
        resource_type: ResourceType,
        names: impl Iterator<Item = &'a str>,
    ) -> Result<(), ProtocolError> {
        match names.map(str::len).find(|len| *len > self.name_len) {
            None => Ok(()),
            Some(len) => Err(ProtocolError::NameTooLong {
                resource_type,
                len,
                allowed: self.name_len,
            }),
        }
    }
}

/// Why a stream has to be closed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// More names than allowed.
    #[error("{} request asks for {asked} names, {allowed} are allowed on one stream", .resource_type.short())]
    TooManyNames {
        /// Of this type.
        resource_type: ResourceType,
        /// So many.
        asked: usize,
        /// The limit.
        allowed: usize,
    },
    /// A name longer than allowed.
    #[error("{} request has a name of {len} bytes, {allowed} are allowed", .resource_type.short())]
    NameTooLong {
        /// Of this type.
        resource_type: ResourceType,
        /// Its length.
        len: usize,
        /// The limit.
        allowed: usize,
    },
    /// A type that the service of the stream does not serve.
    #[error("this service serves {}, not {}", .serves.short(), .asked.short())]
    WrongType {
        /// What the stream is for.
        serves: ResourceType,
        /// What the request is about.
        asked: ResourceType,
    },
    /// A delta request on a state-of-the-world stream or the reverse.
    #[error("the request is not of the stream's variant of the protocol")]
    WrongVariant,
}

impl ProtocolError {
    /// The gRPC status to close the stream with.
    pub fn code(&self) -> tonic::Code {
        match self {
            Self::TooManyNames { .. } | Self::NameTooLong { .. } => tonic::Code::ResourceExhausted,
            Self::WrongType { .. } | Self::WrongVariant => tonic::Code::InvalidArgument,
        }
    }
}
