//! Names that are nothing but names: handles of one pointer, cheap to clone, ordered by their text.

/// Declares a type that is nothing but a text.
macro_rules! name {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(
            Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize,
        )]
        #[serde(transparent)]
        pub struct $type(arcstr::ArcStr);

        impl $type {
            /// Takes the text as it is; an [`ArcStr`](arcstr::ArcStr) is shared, an empty text allocates nothing.
            pub fn new(text: impl Into<arcstr::ArcStr>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $type {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl From<String> for $type {
            fn from(text: String) -> Self {
                Self(text.into())
            }
        }

        impl std::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

/// Declares a shared handle of the parts that make a name: compared, ordered and written as the parts are.
macro_rules! handle {
    ($(#[$doc:meta])* $type:ident of $parts:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(std::sync::Arc<$parts>);

        impl std::ops::Deref for $type {
            type Target = $parts;

            fn deref(&self) -> &$parts {
                &self.0
            }
        }

        impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

pub(crate) use {handle, name};

name! {
    /// The name of a namespace: the unit of ownership and visibility.
    NamespaceName
}

name! {
    /// The cluster, datacenter or other site that a thing runs in (Istio's `CLUSTER_ID`).
    ClusterId
}

name! {
    /// The network within which addresses reach each other. The empty name is the mesh's default network.
    NetworkId
}

#[cfg(test)]
mod tests {
    use serde::Serialize;

    use super::super::{Locality, WorkloadKey};
    use super::*;
    use crate::mesh::Source;
    use crate::registry::{Kind, ObjectKey, Origin, RegistryId, SetId};

    fn check(value: impl Serialize, json: &str) {
        assert_eq!(serde_json::to_string(&value).unwrap(), json);
    }

    #[test]
    fn names_are_written_as_their_text() {
        let object = ObjectKey::new(Kind::new("Service"), "shop".into(), "web");
        let registry = RegistryId::new("Kubernetes", "east");
        check(NamespaceName::new("shop"), r#""shop""#);
        check(ClusterId::default(), r#""""#);
        check(NetworkId::new("east"), r#""east""#);
        check(Kind::new("Service"), r#""Service""#);
        check(SetId::new("pods"), r#""pods""#);
        check(Origin::new("a.yaml:1"), r#""a.yaml:1""#);
        check(&registry, r#"{"provider":"Kubernetes","cluster":"east"}"#);
        check(
            &object,
            r#"{"kind":"Service","namespace":"shop","name":"web"}"#,
        );
        check(
            Source { registry, object },
            r#"{"registry":{"provider":"Kubernetes","cluster":"east"},"object":{"kind":"Service","namespace":"shop","name":"web"}}"#,
        );
        let workload = WorkloadKey::new("shop".into(), "web-1");
        check(&workload, r#"{"namespace":"shop","name":"web-1"}"#);
        check(
            Locality::parse("eu/a"),
            r#"{"region":"eu","zone":"a","sub_zone":""}"#,
        );
        check(
            Locality::default(),
            r#"{"region":"","zone":"","sub_zone":""}"#,
        );
    }

    #[test]
    fn names_are_handles_of_one_pointer() {
        let sizes = [
            ("NamespaceName", size_of::<NamespaceName>()),
            ("ClusterId", size_of::<ClusterId>()),
            ("NetworkId", size_of::<NetworkId>()),
            ("Kind", size_of::<Kind>()),
            ("SetId", size_of::<SetId>()),
            ("Origin", size_of::<Origin>()),
            ("RegistryId", size_of::<RegistryId>()),
            ("ObjectKey", size_of::<ObjectKey>()),
            ("WorkloadKey", size_of::<WorkloadKey>()),
            ("Locality", size_of::<Locality>()),
        ];
        for (name, size) in sizes {
            assert_eq!(size, size_of::<usize>(), "{name}");
        }
        assert_eq!(size_of::<Option<WorkloadKey>>(), size_of::<usize>());
        assert_eq!(size_of::<Source>(), 2 * size_of::<usize>());
    }

    #[test]
    fn localities_are_read_back_and_ordered_from_wide_to_narrow() {
        let texts = ["", "/b", "eu", "eu//x", "eu/a", "eu/a/x", "us"];
        let localities = texts.map(Locality::parse);
        assert!(localities.is_sorted());
        for (text, locality) in texts.into_iter().zip(&localities) {
            let json = serde_json::to_string(locality).unwrap();
            assert_eq!(serde_json::from_str::<Locality>(&json).unwrap(), *locality);
            let parts = (&locality.region, &locality.zone, &locality.sub_zone);
            assert_eq!(
                Locality::new(parts.0.clone(), parts.1.clone(), parts.2.clone()),
                *locality
            );
            assert_eq!(locality.is_empty(), text.is_empty());
        }
        assert_eq!(Locality::new("", "", ""), Locality::default());
    }
}
