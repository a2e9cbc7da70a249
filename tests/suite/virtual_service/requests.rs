//! Where requests go, what is changed of them, and what the proxy answers itself.

use std::net::SocketAddr;

use http::Method;
use pilothouse_tests::envoy::Binary;
use pilothouse_tests::ports::free_address;
use pilothouse_xds::bootstrap::Variant;
use serde_json::{Value, json};

use super::echo::{Ask, Echo, ask};
use super::{Scene, entry, rule, within_five_sigma};
use crate::world::SOON;

/// Services `web.test`, `one.test` and `two.test` on one port, and an Envoy.
struct Three {
    via: SocketAddr,
    web: Echo,
    one: Echo,
    scene: Scene,
    _two: Echo,
}

impl Three {
    async fn start(binary: &Binary, variant: Variant, rules: &[(String, String)]) -> Self {
        let via = free_address().unwrap();
        let [web, one, two] = [
            Echo::start("web").await,
            Echo::start("one").await,
            Echo::start("two").await,
        ];
        let http = |host: &str, of: &Echo| entry(host, via.port(), "HTTP", of.address);
        let entries = [
            http("web.test", &web),
            http("one.test", &one),
            http("two.test", &two),
        ];
        let scene = Scene::start(binary, variant, &entries, rules).await;
        Self {
            via,
            web,
            one,
            scene,
            _two: two,
        }
    }
}

fn to(host: &str) -> Value {
    json!([{ "destination": { "host": host } }])
}

fn web(http: Value) -> (String, String) {
    rule("web", json!({ "hosts": ["web.test"], "http": http }))
}

/// A route for each kind of match: it answers with a status of its own.
pub(super) async fn matches(binary: &Binary, variant: Variant) {
    let answer =
        |status: u16, one: Value| json!({ "match": [one], "directResponse": { "status": status } });
    let rules = [web(json!([
        answer(460, json!({ "uri": { "exact": "/exact" } })),
        answer(461, json!({ "uri": { "prefix": "/pre" } })),
        answer(462, json!({ "uri": { "regex": "/re[0-9]+" } })),
        answer(463, json!({ "uri": { "exact": "/AnyCase" }, "ignoreUriCase": true })),
        answer(464, json!({ "method": { "exact": "DELETE" } })),
        answer(465, json!({ "headers": { "x-there": {} } })),
        answer(466, json!({ "headers": { "x-value": { "exact": "1" }, "x-more": { "prefix": "a" } } })),
        answer(467, json!({ "uri": { "prefix": "/without" }, "withoutHeaders": { "x-not": { "exact": "1" } } })),
        answer(468, json!({ "uri": { "prefix": "/none" }, "withoutHeaders": { "x-not": {} } })),
        answer(469, json!({ "queryParams": { "user": { "exact": "me" } } })),
        answer(470, json!({ "queryParams": { "id": { "regex": "[0-9]+" } } })),
        answer(471, json!({ "authority": { "prefix": "web.test:" } })),
        answer(472, json!({ "uri": { "prefix": "/scheme" }, "scheme": { "exact": "http" } })),
        answer(473, json!({ "uri": { "prefix": "/labels" }, "sourceLabels": { "app": "shop" } })),
        answer(599, json!({ "uri": { "prefix": "/labels" }, "sourceLabels": { "app": "bank" } })),
        answer(474, json!({ "uri": { "prefix": "/namespace" }, "sourceNamespace": "default" })),
        answer(599, json!({ "uri": { "prefix": "/namespace" }, "sourceNamespace": "other" })),
        answer(599, json!({ "uri": { "prefix": "/port" }, "port": 9 })),
        answer(599, json!({ "uri": { "prefix": "/gateway" }, "gateways": ["some"] })),
        { "match": [{ "uri": { "prefix": "/rest" } }], "route": to("one.test") },
    ]))];
    let three = Three::start(binary, variant, &rules).await;
    let status = async |ask_: Ask<'_>| ask(three.via, ask_).await.unwrap().status;
    let get = Ask::get;
    let rows: &[(Ask<'_>, u16)] = &[
        (get("/exact"), 460),
        (get("/exact?with=query"), 460),
        (get("/exact/not"), 404),
        (get("/Exact"), 404),
        (get("/pre"), 461),
        (get("/prefixed"), 461),
        (get("/re42"), 462),
        (get("/re42/more"), 404),
        (get("/aNYcase"), 463),
        (
            Ask {
                method: Method::DELETE,
                ..get("/")
            },
            464,
        ),
        (get("/").with(&[("x-there", "")]), 465),
        (get("/").with(&[("x-value", "1"), ("x-more", "abc")]), 466),
        (get("/").with(&[("x-value", "1")]), 404),
        (get("/").with(&[("x-value", "2"), ("x-more", "abc")]), 404),
        (get("/without"), 467),
        (get("/without").with(&[("x-not", "2")]), 467),
        (get("/without").with(&[("x-not", "1")]), 404),
        (get("/none"), 468),
        (get("/none").with(&[("x-not", "1")]), 404),
        (get("/?user=me"), 469),
        (get("/?user=you"), 404),
        (get("/?id=12"), 470),
        (get("/?id=x"), 404),
        (
            Ask {
                host: "web.test:80",
                ..get("/")
            },
            471,
        ),
        (get("/scheme"), 472),
        (get("/labels"), 473),
        (get("/namespace"), 474),
        (get("/port"), 404),
        (get("/gateway"), 404),
        (get("/rest"), 200),
        (get("/"), 404),
        // Of a host that no rule speaks of, everything goes to its service.
        (
            Ask {
                host: "two.test",
                ..get("/exact")
            },
            200,
        ),
    ];
    for (ask, expected) in rows {
        assert_eq!(status(ask.clone()).await, *expected, "{ask:?}");
    }
    three.scene.envoy.wait_settled(SOON).await.unwrap();
}

/// Paths, hosts and headers are changed; redirects, answers and CORS come from the proxy.
pub(super) async fn changes(binary: &Binary, variant: Variant) {
    let at = |prefix: &str| json!([{ "uri": { "prefix": prefix } }]);
    let headers = |of: &str| {
        json!({
            "request": { "set": { format!("x-{of}"): "set" }, "add": { "x-both": of }, "remove": ["x-gone"] },
            "response": { "set": { format!("x-{of}"): "set" }, "remove": ["x-served-by"] },
        })
    };
    let rules = [web(json!([
        { "match": at("/old/"), "rewrite": { "uri": "/new/", "authority": "else.test" }, "route": to("one.test") },
        {
            "match": at("/user"),
            "rewrite": { "uriRegexRewrite": { "match": "^/user/([^/]+)/.*$", "rewrite": "/u/\\1" } },
            "route": to("one.test"),
        },
        {
            "match": at("/headers"),
            "headers": headers("route"),
            "route": [{ "destination": { "host": "one.test" }, "headers": headers("to") }],
        },
        { "match": at("/host"), "headers": { "request": { "set": { "Host": "header.test" } } }, "route": to("one.test") },
        {
            "match": at("/redirect"),
            "redirect": { "uri": "/there", "authority": "there.test", "scheme": "https", "redirectCode": 307 },
        },
        { "match": at("/answer"), "directResponse": { "status": 418, "body": { "string": "short and stout" } } },
        {
            "match": at("/cors"),
            "corsPolicy": {
                "allowOrigins": [{ "exact": "https://good.test" }],
                "allowMethods": ["GET", "PUT"],
                "allowHeaders": ["x-a"],
                "exposeHeaders": ["x-b"],
                "maxAge": "60s",
                "allowCredentials": true,
            },
            "route": to("one.test"),
        },
        { "route": to("nowhere.test") },
    ]))];
    let three = Three::start(binary, variant, &rules).await;
    let (via, one) = (three.via, &three.one);
    let asked = async |ask_: Ask<'_>| {
        let reply = ask(via, ask_).await.unwrap();
        assert_eq!((reply.status, &*reply.body), (200, "one"), "{reply:?}");
        (reply, one.take().remove(0))
    };
    let (_, seen) = asked(Ask::get("/old/a?b=c")).await;
    assert_eq!(
        (&*seen.path, &*seen.headers["host"]),
        ("/new/a?b=c", "else.test")
    );
    let (_, seen) = asked(Ask::get("/user/me/and?b=c")).await;
    assert_eq!(seen.path, "/u/me?b=c");
    let (_, seen) = asked(Ask::get("/host")).await;
    assert_eq!(
        (&*seen.headers["host"], &*seen.method),
        ("header.test", "GET")
    );
    let gone = [("x-gone", "1"), ("x-both", "own")];
    let (reply, seen) = asked(Ask::get("/headers").with(&gone)).await;
    let header = |name: &str| seen.headers.get(name).map(String::as_str);
    assert_eq!(
        (header("x-route"), header("x-to"), header("x-gone")),
        (Some("set"), Some("set"), None)
    );
    let mut both: Vec<_> = header("x-both").unwrap_or_default().split(',').collect();
    both.sort_unstable();
    assert_eq!(both, ["own", "route", "to"]);
    assert_eq!(
        (reply.header("x-route"), reply.header("x-to")),
        ("set", "set")
    );
    assert_eq!(reply.header("x-served-by"), "");

    let reply = ask(via, Ask::get("/redirect")).await.unwrap();
    assert_eq!(
        (reply.status, reply.header("location")),
        (307, "https://there.test/there")
    );
    let reply = ask(via, Ask::get("/answer")).await.unwrap();
    assert_eq!((reply.status, &*reply.body), (418, "short and stout"));

    let preflight = [
        ("origin", "https://good.test"),
        ("access-control-request-method", "PUT"),
    ];
    let options = Ask {
        method: Method::OPTIONS,
        ..Ask::get("/cors")
    };
    let reply = ask(via, options.clone().with(&preflight)).await.unwrap();
    let of = |name: &str| reply.header(&format!("access-control-{name}")).to_owned();
    assert_eq!(of("allow-origin"), "https://good.test");
    assert_eq!(
        (of("allow-methods"), of("allow-headers")),
        ("GET,PUT".into(), "x-a".into())
    );
    assert_eq!(
        (of("max-age"), of("allow-credentials")),
        ("60".into(), "true".into())
    );
    assert_eq!(one.take().len(), 0, "the proxy answers preflight requests");
    let (reply, _) = asked(Ask::get("/cors").with(&preflight[..1])).await;
    assert_eq!(reply.header("access-control-expose-headers"), "x-b");
    let (reply, _) = asked(Ask::get("/cors").with(&[("origin", "https://bad.test")])).await;
    assert_eq!(reply.header("access-control-allow-origin"), "");

    // A destination that is nowhere holds nothing up, and is no service.
    assert_eq!(ask(via, Ask::get("/")).await.unwrap().status, 503);
    three.scene.envoy.wait_settled(SOON).await.unwrap();
}

/// The routes of another rule stand in the place of the one that delegates, within its match.
pub(super) async fn delegates(binary: &Binary, variant: Variant) {
    let leaf = |to_: &str| {
        let route = json!({ "match": [{ "uri": { "prefix": "/part/a" } }], "route": to(to_) });
        rule("leaf", json!({ "http": [route] }))
    };
    let rules = [
        web(json!([
            { "match": [{ "uri": { "prefix": "/part" } }], "delegate": { "name": "leaf" } },
            { "route": to("web.test") },
        ])),
        leaf("one.test"),
    ];
    let three = Three::start(binary, variant, &rules).await;
    let via = three.via;
    let body = async |path: &str| ask(via, Ask::get(path)).await.unwrap().body;
    assert_eq!(body("/part/a").await, "one");
    assert_eq!(body("/part/b").await, "web");
    assert_eq!(body("/").await, "web");
    three
        .scene
        .change(leaf("two.test"), async || body("/part/a").await == "two")
        .await;
    assert_eq!(three.web.take().len(), 2);
    three.scene.envoy.wait_settled(SOON).await.unwrap();
}

/// One request of five goes elsewhere, then half of them; a destination without weight gets none.
pub(super) async fn weights(binary: &Binary, variant: Variant) {
    const MANY: u32 = 1000;
    let weighted = |web_: u32, one: u32| {
        let to =
            |host: &str, weight: u32| json!({ "destination": { "host": host }, "weight": weight });
        let route = json!([to("web.test", web_), to("one.test", one), to("two.test", 0)]);
        web(json!([{ "route": route }]))
    };
    let three = Three::start(binary, variant, &[weighted(80, 20)]).await;
    let via = three.via;
    let measure = async |share: f64| {
        three.web.take();
        three.one.take();
        for _ in 0..MANY {
            let reply = ask(via, Ask::get("/")).await.unwrap();
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        let (web, one) = (three.web.take().len(), three.one.take().len());
        assert_eq!(web + one, 1000);
        within_five_sigma(u32::try_from(one).unwrap(), MANY, share);
    };
    measure(0.2).await;
    let all = async || {
        three.web.take();
        three.one.take();
        for _ in 0..20 {
            assert_eq!(ask(via, Ask::get("/")).await.unwrap().status, 200);
        }
        three.web.take().is_empty()
    };
    three.scene.change(weighted(0, 100), all).await;
    three
        .scene
        .change(weighted(50, 50), async || !all().await)
        .await;
    measure(0.5).await;
    three.scene.envoy.wait_settled(SOON).await.unwrap();
}
