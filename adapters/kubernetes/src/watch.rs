//! What a cluster holds of one resource: the whole, and then every change, for as long as somebody listens.
//!
//! ```text
//!            ┌──────────────── 410, went back ────────────────┐
//!            ▼                                                │
//! list (streamed, or by pages) ──version──► watch ──broken, over, silent──► watch from the last version
//! ```
//!
//! [`follow`] sends plain requests through kube's client, so that it decides itself what a server's refusal, silence or expired
//! version means, and hands on each object as it comes: nothing is kept here, neither objects nor their text.
//!
//! - A list is handed on as a whole, when all of it is there. One that breaks off begins anew, and nothing is said of what it had.
//! - A watch goes on from the last version that was seen. Its end, its break and its silence change nothing.
//! - Everything is applied in the order in which it comes. A change that comes twice is handed on twice: applying it again changes
//!   nothing. One that is older than what came before says that this watch cannot be trusted (versions that are numbers are
//!   compared): it is dropped, and all is listed anew. Versions that are no numbers are opaque and taken as they come.
//! - After a silence the version is compared with the present one: a server whose store was restored to an older state waits in silence.
//! - What fails is asked again with growing pauses, at random so that not all ask at one moment.
//!
//! The client must not try again by itself (`Config::default_retry = false`): its retries would hide what is reported here, and
//! add their pauses to these. Its `read_timeout` stays unset: silence is judged here, by [`Settings::silence`].

mod failing;
mod follow;
mod initial;
mod items;
mod lines;
mod list;
mod object;
mod pace;
mod request;
mod settings;
mod stream;
mod version;

use std::fmt;
use std::sync::Arc;

use futures::Stream;

pub use failing::WatchError;
pub use object::{Metadata, Raw};
pub use settings::{Poke, Settings, StreamingLists};

/// One resource of the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// Its group; empty for the core group.
    pub group: &'static str,
    /// The version it is asked for in.
    pub version: Arc<str>,
    /// Its name in paths, such as `virtualservices`.
    pub plural: &'static str,
    /// What one of them is called, such as `VirtualService`.
    pub kind: &'static str,
    /// Whether their metadata are enough.
    pub metadata_only: bool,
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        Ok(())
    }
}

/// Which of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// Those of one namespace; of all, and those that have none, without.
    pub namespace: Option<Arc<str>>,
    /// Those that this label selector selects.
    pub labels: Option<String>,
    /// Those that this field selector selects.
    pub fields: Option<String>,
}

/// What happens to a resource.
#[derive(Debug)]
pub enum Event<T> {
    /// This is all there is: whatever else was known of is gone.
    Listed(Vec<T>),
    /// An object is new, or changed.
    Applied(T),
    /// An object is gone. The metadata are its last.
    Deleted(Metadata),
    /// The cluster does not serve the resource: there are no objects. It is asked again and again, and [`Poke`] makes it ask at once.
    /// Said once, until it is listed again.
    Absent,
    /// What is known stays as it is, and may be old. Said once for each cause, until [`Event::Listed`] or [`Event::Recovered`].
    Failing(WatchError),
    /// What failed works again, and what is known is current: nothing had to be listed anew.
    Recovered,
    /// An object of which not even the name can be read. The others are not affected; a list goes without it.
    Unreadable(WatchError),
}

/// Follows a resource: the stream begins with [`Event::Listed`], [`Event::Absent`] or [`Event::Failing`], and never ends. Each object is
/// handed to `convert` as it comes, and dropped after it. Dropping the stream closes its connection.
pub fn follow<T, C>(
    client: kube::Client,
    resource: Resource,
    scope: Scope,
    settings: &Settings,
    convert: C,
) -> impl Stream<Item = Event<T>> + Send + use<T, C>
where
    T: Send + 'static,
    C: Fn(Raw<'_>) -> T + Send + Sync + 'static,
{
    let source = request::Source::new(client, resource, scope);
    let follower = follow::Follower::new(source, settings.clone(), convert);
    futures::stream::unfold(Box::new(follower), |mut follower| async move {
        let event = follower.next().await;
        Some((event, follower))
    })
}
