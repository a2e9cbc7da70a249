//! A case as four tests: the oldest and the newest Envoy, each in both variants of the protocol.

macro_rules! on_every_envoy {
    ($($(#[$doc:meta])* $case:ident)*) => { $(
        mod $case {
            use pilothouse_tests::envoy::{Binary, VERSIONS};
            use pilothouse_xds::bootstrap::Variant;

            #[tokio::test]
            async fn oldest_delta() {
                super::$case(&Binary::find_version(VERSIONS[0]).unwrap(), Variant::Delta).await;
            }

            #[tokio::test]
            async fn oldest_sotw() {
                super::$case(&Binary::find_version(VERSIONS[0]).unwrap(), Variant::Sotw).await;
            }

            #[tokio::test]
            async fn newest_delta() {
                super::$case(&Binary::find_version(VERSIONS[1]).unwrap(), Variant::Delta).await;
            }

            #[tokio::test]
            async fn newest_sotw() {
                super::$case(&Binary::find_version(VERSIONS[1]).unwrap(), Variant::Sotw).await;
            }
        }
    )* };
}

pub(crate) use on_every_envoy;
