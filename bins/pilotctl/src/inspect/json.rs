//! Looking into JSON that is not ours: what is not there is empty.

use serde_json::Value;

/// The text of a value, empty if it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The items of a value, none if it is no list.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// A number, also where protobuf's JSON writes it as a text.
pub(super) fn number(value: &Value) -> Option<u64> {
    value
        .as_u64()
        .or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}

/// The message type of an `Any`, without what leads to it: `TcpProxy` of `type.googleapis.com/envoy…v3.TcpProxy`.
pub(super) fn type_name(any: &Value) -> &str {
    let url = text(&any["@type"]);
    url.rsplit(['.', '/']).next().unwrap_or(url)
}

/// The address and the port of an `Address`. Of what is no socket address only a text.
pub(super) fn address(address: &Value) -> (String, Option<u16>) {
    let socket = &address["socket_address"];
    if socket.is_object() {
        let port = number(&socket["port_value"]).unwrap_or_default();
        return (
            text(&socket["address"]).to_owned(),
            u16::try_from(port).ok(),
        );
    }
    let internal = &address["envoy_internal_address"];
    if internal.is_object() {
        let name = text(&internal["server_listener_name"]);
        let id = text(&internal["endpoint_id"]);
        let id = if id.is_empty() {
            String::new()
        } else {
            format!("/{id}")
        };
        return (format!("envoy://{name}{id}"), None);
    }
    match text(&address["pipe"]["path"]) {
        "" => (String::new(), None),
        path => (format!("unix://{path}"), None),
    }
}

/// `ADDRESS:PORT`, with brackets where the address has colons.
pub(super) fn joined(address: &str, port: Option<u16>) -> String {
    match port {
        Some(port) if address.contains(':') => format!("[{address}]:{port}"),
        Some(port) => format!("{address}:{port}"),
        None => address.to_owned(),
    }
}

/// The object that Istio's metadata says a resource was made from, as `NAME.NAMESPACE`.
pub(super) fn managed_by(resource: &Value) -> String {
    let path = text(&resource["metadata"]["filter_metadata"]["istio"]["config"]);
    let mut parts = path.rsplit('/');
    let (name, _kind, namespace) = (parts.next(), parts.next(), parts.next());
    match (namespace, name) {
        (Some(namespace), Some(name)) => format!("{name}.{namespace}"),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses() {
        for (value, expected) in [
            (
                json!({ "socket_address": { "address": "10.0.0.1", "port_value": 80 } }),
                "10.0.0.1:80",
            ),
            (
                json!({ "socket_address": { "address": "::", "port_value": 80 } }),
                "[::]:80",
            ),
            (json!({ "socket_address": { "address": "a" } }), "a:0"),
            (
                json!({ "pipe": { "path": "/run/a.sock" } }),
                "unix:///run/a.sock",
            ),
            (
                json!({ "envoy_internal_address": { "server_listener_name": "connect", "endpoint_id": "a" } }),
                "envoy://connect/a",
            ),
            (json!({ "something": "new" }), ""),
            (json!(null), ""),
        ] {
            let (ip, port) = address(&value);
            assert_eq!(joined(&ip, port), expected, "{value}");
        }
    }

    #[test]
    fn objects_behind_resources() {
        for (config, expected) in [
            (
                "/apis/networking.istio.io/v1alpha3/namespaces/shop/virtual-service/reviews",
                "reviews.shop",
            ),
            ("odd", "odd"),
            ("", ""),
        ] {
            let resource =
                json!({ "metadata": { "filter_metadata": { "istio": { "config": config } } } });
            assert_eq!(managed_by(&resource), expected);
        }
        assert_eq!(managed_by(&json!({})), "");
    }
}
