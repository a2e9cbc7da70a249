//! Names of clusters, and of proxies, taken apart for tables.

/// A cluster's name in its parts: `DIRECTION|PORT|SUBSET|HOST`, or a name of another form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ClusterName<'a> {
    /// `outbound` or `inbound`, empty if the name is of another form.
    pub(super) direction: &'a str,
    /// The subset, mostly empty.
    pub(super) subset: &'a str,
    /// The host, or the whole name if it is of another form.
    pub(super) host: &'a str,
    /// The port.
    pub(super) port: Option<u16>,
}

impl<'a> ClusterName<'a> {
    /// Takes a name apart.
    pub(super) fn parse(name: &'a str) -> Self {
        let mut parts = name.splitn(4, '|');
        let whole = Self {
            direction: "",
            subset: "",
            host: name,
            port: None,
        };
        let (Some(direction), Some(port), Some(subset), Some(host)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return whole;
        };
        match port.parse() {
            Ok(port) => Self {
                direction,
                subset,
                host,
                port: Some(port),
            },
            Err(_) => whole,
        }
    }
}

/// `NAME.NAMESPACE` of a node id `TYPE~IP~NAME.NAMESPACE~DOMAIN`; of what is none, itself.
pub(super) fn proxy_name(node_id: &str) -> &str {
    match node_id.split('~').nth(2) {
        Some(name) if !name.is_empty() => name,
        _ => node_id,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters() {
        let parsed = |name| {
            let ClusterName {
                direction,
                subset,
                host,
                port,
            } = ClusterName::parse(name);
            (direction, port, subset, host)
        };
        for (name, expected) in [
            (
                "outbound|80|v1|web.test",
                ("outbound", Some(80), "v1", "web.test"),
            ),
            ("inbound|8080||", ("inbound", Some(8080), "", "")),
            ("BlackHoleCluster", ("", None, "", "BlackHoleCluster")),
            ("a|b|c|d", ("", None, "", "a|b|c|d")),
            ("outbound|80|", ("", None, "", "outbound|80|")),
            ("outbound|99999||a", ("", None, "", "outbound|99999||a")),
        ] {
            assert_eq!(parsed(name), expected, "{name}");
        }
    }

    #[test]
    fn proxies() {
        assert_eq!(
            proxy_name("sidecar~10.0.0.1~web-1.shop~shop.svc.cluster.local"),
            "web-1.shop"
        );
        assert_eq!(proxy_name("odd"), "odd");
        assert_eq!(proxy_name("a~b~~c"), "a~b~~c");
    }
}
