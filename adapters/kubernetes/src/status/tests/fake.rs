use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::status::api::Api;
use crate::status::known::split;

/// Objects by path. Clones share them.
#[derive(Clone, Default)]
pub(in crate::status) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<String, Value>,
    log: Vec<String>,
    refusing: Option<u16>,
    atomic: bool,
}

impl Fake {
    pub(in crate::status) fn api(&self) -> Api {
        Api::new(self.client(), Duration::from_secs(4))
    }

    pub(in crate::status) fn client(&self) -> Client {
        let fake = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let fake = fake.clone();
            async move { fake.answer(request).await }
        });
        Client::new(service, "default")
    }

    /// The object at this path.
    pub(in crate::status) fn get(&self, path: &str) -> Option<Value> {
        self.0.lock().objects.get(path).cloned()
    }

    /// Puts an object there, as another client would.
    pub(in crate::status) fn put(&self, path: &str, object: Value) {
        self.0.lock().write(path, object);
    }

    /// The changes that were asked for since the last time, as method and path.
    pub(in crate::status) fn changes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().log)
    }

    /// Every change is answered by this code.
    pub(in crate::status) fn refuse(&self, code: Option<u16>) {
        self.0.lock().refusing = code;
    }

    /// Lists of conditions belong to one writer each.
    pub(in crate::status) fn atomic(&self) {
        self.0.lock().atomic = true;
    }

    /// All objects whose path begins so.
    pub(in crate::status) fn below(&self, path: &str) -> Vec<Value> {
        let state = self.0.lock();
        let below = state.objects.iter().filter(|(at, _)| at.starts_with(path));
        below.map(|(_, object)| object.clone()).collect()
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let path = parts.uri.path().to_owned();
        let mut state = self.0.lock();
        let answer = if parts.method == Method::GET {
            state.read(&path)
        } else {
            state.log.push(format!("{} {path}", parts.method));
            match state.refusing {
                Some(code) => Err(code),
                None => state.change(
                    &parts.method,
                    &path,
                    parts.uri.query().unwrap_or_default(),
                    body,
                ),
            }
        };
        let (code, body) = match answer {
            Ok(object) => (200, object),
            Err(code) => (code, refusal(code)),
        };
        Ok(Response::builder()
            .status(StatusCode::from_u16(code)?)
            .body(Body::from(body.to_string().into_bytes()))?)
    }
}

impl State {
    fn read(&self, path: &str) -> Result<Value, u16> {
        if let Some(object) = self.objects.get(path) {
            return Ok(object.clone());
        }
        if !path.ends_with("/configmaps") {
            return Err(404);
        }
        let below = self
            .objects
            .iter()
            .filter(|(other, _)| other.starts_with(&format!("{path}/")));
        let items: Vec<_> = below.map(|(_, object)| object).collect();
        Ok(json!({"items": items}))
    }

    fn change(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        body: Value,
    ) -> Result<Value, u16> {
        let version = &body["metadata"]["resourceVersion"];
        match method.as_str() {
            "POST" => {
                let name = body["metadata"]["name"].as_str().unwrap_or_default();
                let path = format!("{path}/{name}");
                if self.objects.contains_key(&path) {
                    return Err(409);
                }
                Ok(self.write(&path, body))
            }
            "PUT" => {
                let present = self.objects.get(path).ok_or(404u16)?;
                if !version.is_null() && present["metadata"]["resourceVersion"] != *version {
                    return Err(409);
                }
                Ok(self.write(path, body))
            }
            "DELETE" => self.objects.remove(path).ok_or(404),
            _ => {
                let path = path.trim_end_matches("/status");
                let mut object = self.objects.get(path).cloned().ok_or(404u16)?;
                if !version.is_null() {
                    if object["metadata"]["resourceVersion"] != *version {
                        return Err(409);
                    }
                } else if query == "fieldManager=pilothouse-conditions" {
                    let wanted = body["status"]["conditions"].as_array();
                    let (_, mut list) = split(&object["status"]);
                    if self.atomic && !list.is_empty() {
                        return Err(409);
                    }
                    list.extend(wanted.into_iter().flatten().cloned());
                    object["status"]["conditions"] = list.into();
                    return Ok(self.write(path, object));
                }
                let field = match query {
                    "fieldManager=pilothouse-addresses" => "addresses",
                    _ => "conditions",
                };
                object["status"][field] = body["status"][field].clone();
                Ok(self.write(path, object))
            }
        }
    }

    fn write(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

fn refusal(code: u16) -> Value {
    let reason = match code {
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        _ => "InternalError",
    };
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": "no"})
}
