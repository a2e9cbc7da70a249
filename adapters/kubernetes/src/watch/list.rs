//! Lists by pages.

use http::StatusCode;
use http_body_util::BodyExt;
use kube::client::Body;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::time::timeout;

use super::failing::WatchError;
use super::items::{Item, Items, NoList};
use super::object::{self, Raw, lenient};
use super::request::{Failure, Source, Verb};
use super::settings::Settings;
use super::version::Version;

/// All objects of a resource.
pub(super) struct Listed<T> {
    pub(super) objects: Vec<T>,
    /// From here on a watch goes on.
    pub(super) version: Version,
    /// Objects that cannot be read.
    pub(super) unreadable: Vec<WatchError>,
}

/// How to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Want {
    /// As new as the store of the cluster; otherwise as the answering server knows.
    pub(super) consistent: bool,
    /// In one piece: pages take longer than their version lasts.
    pub(super) whole: bool,
}

/// The page of a list that could not be continued.
pub(super) enum Aborted {
    /// The version that the pages were of is gone.
    Expired,
    Failed(Failure),
}

impl From<WatchError> for Aborted {
    fn from(error: WatchError) -> Self {
        Self::Failed(error.into())
    }
}

/// What stands around the items.
#[derive(Deserialize)]
struct Envelope {
    metadata: Option<ListMetadata>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMetadata {
    #[serde(deserialize_with = "lenient")]
    resource_version: String,
    #[serde(rename = "continue", deserialize_with = "lenient")]
    next: String,
}

impl ListMetadata {
    fn version(&self) -> Option<Version> {
        Version::new(&self.resource_version)
    }
}

/// Lists everything, page by page; each object is converted as it comes.
pub(super) async fn read<T>(
    source: &Source,
    settings: &Settings,
    want: Want,
    convert: &impl Fn(Raw<'_>) -> T,
) -> Result<Listed<T>, Aborted> {
    let limit = settings.page.to_string();
    let mut next = String::new();
    let mut objects = Vec::new();
    let mut unreadable = Vec::new();
    loop {
        let mut parameters: Vec<(&str, &str)> = Vec::new();
        if !want.whole {
            parameters.push(("limit", &limit));
        }
        if !next.is_empty() {
            parameters.push(("continue", &next));
        } else if !want.consistent {
            parameters.push(("resourceVersion", "0"));
        }
        let body = source.ask(Verb::List, &parameters, settings.answer).await;
        let body = body.map_err(|failure| match failure.status() {
            Some(StatusCode::GONE) => Aborted::Expired,
            _ => Aborted::Failed(failure),
        })?;
        let mut page = Page {
            source,
            settings,
            convert,
            objects: &mut objects,
            unreadable: &mut unreadable,
        };
        let metadata = page.read(body).await?;
        if metadata.next.is_empty() {
            let version = metadata.version();
            let version = version.ok_or_else(|| nonsense(source, "it has no resourceVersion"))?;
            return Ok(Listed {
                objects,
                version,
                unreadable,
            });
        }
        next = metadata.next;
    }
}

/// The present version of the cluster's store.
pub(super) async fn version(source: &Source, settings: &Settings) -> Result<Version, Failure> {
    let parameters = [("limit", "1")];
    let body = source.ask(Verb::List, &parameters, settings.answer).await?;
    let mut page = Page {
        source,
        settings,
        convert: &|_: Raw<'_>| (),
        objects: &mut Vec::new(),
        unreadable: &mut Vec::new(),
    };
    let version = page.read(body).await?.version();
    Ok(version.ok_or_else(|| nonsense(source, "it has no resourceVersion"))?)
}

fn nonsense(source: &Source, why: impl Into<String>) -> WatchError {
    WatchError::Nonsense {
        asked: source.asked(Verb::List),
        why: why.into(),
    }
}

/// A page on its way in.
struct Page<'a, T, C> {
    source: &'a Source,
    settings: &'a Settings,
    convert: &'a C,
    objects: &'a mut Vec<T>,
    unreadable: &'a mut Vec<WatchError>,
}

impl<T, C: Fn(Raw<'_>) -> T> Page<'_, T, C> {
    async fn read(&mut self, mut body: Body) -> Result<ListMetadata, WatchError> {
        let mut items = Items::new(self.settings.max_object);
        loop {
            let frame = timeout(self.settings.pause, body.frame()).await;
            let frame = frame.map_err(|_| WatchError::Silent {
                asked: self.source.asked(Verb::List),
                after: self.settings.pause,
            })?;
            let Some(frame) = frame else {
                break;
            };
            let frame = frame.map_err(|why| WatchError::Broken {
                asked: self.source.asked(Verb::List),
                source: Some(why.into()),
            })?;
            let text = frame.into_data().unwrap_or_default();
            let fed = items.feed(&text, |item| self.item(&item));
            fed.map_err(|why| match why {
                NoList::Brackets => nonsense(self.source, "it is not JSON"),
                NoList::TooLarge => nonsense(self.source, "it has too much that is no item"),
            })?;
            if self.objects.len() > self.settings.max_objects {
                return Err(WatchError::TooMany {
                    asked: self.source.asked(Verb::List),
                    most: self.settings.max_objects,
                });
            }
        }
        let envelope: Envelope =
            serde_json::from_slice(items.envelope()).map_err(|error| match error.is_eof() {
                true => WatchError::Broken {
                    asked: self.source.asked(Verb::List),
                    source: None,
                },
                false => nonsense(self.source, error.to_string()),
            })?;
        envelope
            .metadata
            .ok_or_else(|| nonsense(self.source, "it has no metadata"))
    }

    fn item(&mut self, item: &Item<'_>) {
        let read = match item {
            Item::TooLarge => Err("it is too large".to_owned()),
            Item::Text(text) => serde_json::from_slice::<&RawValue>(text)
                .map_err(|error| error.to_string())
                .and_then(object::object),
        };
        match read {
            Ok(raw) => self.objects.push((self.convert)(raw)),
            Err(why) => self.unreadable.push(WatchError::Object {
                asked: self.source.asked(Verb::List),
                why,
            }),
        }
    }
}
