//! How the descriptor asset is made, and the proof that it is that of the `envoy-types` in use.
//!
//! `PILOTHOUSE_BLESS=1 cargo test -p pilothouse-xds asset` writes the assets anew.

use std::path::{Path, PathBuf};

use prost::Message;
use prost_reflect::prost_types::field_descriptor_proto::{Label, Type};
use prost_reflect::prost_types::{
    DescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet, MessageOptions,
};

/// Whether tests write what they compare with.
pub(crate) fn bless() -> bool {
    std::env::var_os("PILOTHOUSE_BLESS").is_some()
}

/// A file of this crate's `assets/`.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("assets")
        .join(name)
}

/// The descriptors that `envoy-types` ships in its package, without comments, and those of what it lacks.
fn descriptors() -> Vec<u8> {
    let mut set = FileDescriptorSet::decode(&*std::fs::read(shipped()).unwrap()).unwrap();
    for file in &mut set.file {
        file.source_code_info = None;
    }
    set.file.push(typed_struct(
        "xds/type/v3/typed_struct.proto",
        "xds.type.v3",
    ));
    set.file.push(typed_struct(
        "udpa/type/v1/typed_struct.proto",
        "udpa.type.v1",
    ));
    set.file.push(name_table());
    set.encode_to_vec()
}

/// Cargo unpacks the sources of `envoy-types` before it compiles them.
fn shipped() -> PathBuf {
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock"))
        .unwrap();
    let version = lock
        .split("name = \"envoy-types\"\nversion = \"")
        .nth(1)
        .and_then(|rest| rest.split('"').next())
        .unwrap();
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = cargo
        .or_else(|| std::env::home_dir().map(|home| home.join(".cargo")))
        .unwrap();
    let registries = std::fs::read_dir(home.join("registry/src"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = format!("envoy-types-{version}/src/generated/types.bin");
    registries
        .map(|dir| dir.join(&file))
        .find(|path| path.exists())
        .expect("cargo has unpacked envoy-types")
}

/// What `crate::name_table` says by hand.
fn name_table() -> FileDescriptorProto {
    const TABLE: &str = ".istio.networking.nds.v1.NameTable";
    let text = |name, number| field(name, number, Type::String, None);
    let message = |name: &str, field| DescriptorProto {
        name: Some(name.into()),
        field,
        ..Default::default()
    };
    let nested = |name, number, type_name: &str| {
        field(
            name,
            number,
            Type::Message,
            Some(&format!("{TABLE}.{type_name}")),
        )
    };
    let info = vec![
        repeated(text("ips", 1)),
        text("registry", 2),
        text("shortname", 3),
        text("namespace", 4),
        repeated(text("alt_hosts", 5)),
    ];
    let mut entry = message(
        "TableEntry",
        vec![text("key", 1), nested("value", 2, "NameInfo")],
    );
    entry.options = Some(MessageOptions {
        map_entry: Some(true),
        ..Default::default()
    });
    let mut table = message(
        "NameTable",
        vec![repeated(nested("table", 1, "TableEntry"))],
    );
    table.nested_type = vec![message("NameInfo", info), entry];
    FileDescriptorProto {
        name: Some("istio/networking/nds/v1/nds.proto".into()),
        package: Some("istio.networking.nds.v1".into()),
        syntax: Some("proto3".into()),
        message_type: vec![table],
        ..Default::default()
    }
}

fn field(name: &str, number: i32, kind: Type, type_name: Option<&str>) -> FieldDescriptorProto {
    FieldDescriptorProto {
        name: Some(name.into()),
        number: Some(number),
        label: Some(Label::Optional.into()),
        r#type: Some(i32::from(kind)),
        type_name: type_name.map(Into::into),
        ..Default::default()
    }
}

fn repeated(field: FieldDescriptorProto) -> FieldDescriptorProto {
    FieldDescriptorProto {
        label: Some(Label::Repeated.into()),
        ..field
    }
}

fn typed_struct(file: &str, package: &str) -> FileDescriptorProto {
    FileDescriptorProto {
        name: Some(file.into()),
        package: Some(package.into()),
        dependency: vec!["google/protobuf/struct.proto".into()],
        syntax: Some("proto3".into()),
        message_type: vec![DescriptorProto {
            name: Some("TypedStruct".into()),
            field: vec![
                field("type_url", 1, Type::String, None),
                field("value", 2, Type::Message, Some(".google.protobuf.Struct")),
            ],
            ..Default::default()
        }],
        ..Default::default()
    }
}

#[test]
fn the_asset_is_that_of_the_envoy_types_in_use() {
    let expected = descriptors();
    let file = path("descriptors.bin.zst");
    if bless() {
        std::fs::write(&file, zstd::encode_all(&*expected, 19).unwrap()).unwrap();
    }
    let found = zstd::decode_all(&*std::fs::read(&file).unwrap()).unwrap();
    assert!(
        found == expected,
        "{} is out of date: run this test with PILOTHOUSE_BLESS=1",
        file.display()
    );
}
