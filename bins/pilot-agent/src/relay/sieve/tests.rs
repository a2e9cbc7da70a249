use envoy_types::pb::envoy::service::discovery::v3::{
    DeltaDiscoveryResponse, DiscoveryResponse, Resource,
};
use envoy_types::pb::google::protobuf::Any;
use proptest::prelude::*;
use prost::Message;

use super::*;

const WANTED: &str = "type.test/names";
const OTHER: &str = "type.test/cluster";

/// A response: whether it is wanted, how many resources of which size it has, whether its type stands first.
type Shape = (bool, usize, usize, bool);

fn encoded(variant: Variant, (wanted, count, size, first): Shape) -> Vec<u8> {
    let type_url = if wanted { WANTED } else { OTHER };
    let any = || Any {
        type_url: type_url.to_owned(),
        value: vec![b'x'; size],
    };
    let resource = || Resource {
        name: "a name".to_owned(),
        version: "a version".to_owned(),
        resource: Some(any()),
        ..Resource::default()
    };
    let mut bytes = Vec::new();
    if first {
        // As a server writes it that shares the resources between clients.
        bytes.extend([4 << 3 | 2, u8::try_from(type_url.len()).unwrap()]);
        bytes.extend(type_url.as_bytes());
    }
    let type_url = if first { "" } else { type_url }.to_owned();
    match variant {
        Variant::Delta => DeltaDiscoveryResponse {
            type_url,
            nonce: "nonce".to_owned(),
            resources: (0..count).map(|_| resource()).collect(),
            removed_resources: vec!["gone".to_owned()],
            ..DeltaDiscoveryResponse::default()
        }
        .encode(&mut bytes),
        Variant::Sotw => DiscoveryResponse {
            type_url,
            version_info: "version".to_owned(),
            nonce: "nonce".to_owned(),
            resources: (0..count).map(|_| any()).collect(),
            ..DiscoveryResponse::default()
        }
        .encode(&mut bytes),
    }
    .unwrap();
    bytes
}

fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    bytes.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    bytes.extend(message);
    bytes
}

/// What passes, and what is taken.
fn sieved(sieve: &mut Sieve, frame: &[u8], passed: &mut Vec<u8>, taken: &mut Vec<Option<Vec<u8>>>) {
    sieve.push(Bytes::copy_from_slice(frame));
    while let Some(piece) = sieve.next() {
        match piece {
            Piece::Passed(bytes) => passed.extend(bytes),
            Piece::Taken(message) => taken.push(message.map(Vec::from)),
        }
    }
}

proptest! {
    #[test]
    fn any_stream_is_parted_wherever_its_frames_are_cut(
        delta: bool,
        shapes in prop::collection::vec((any::<bool>(), 0_usize..4, 0_usize..3000, any::<bool>()), 0..8),
        cuts in prop::collection::vec(1_usize..5000, 1..30),
    ) {
        let variant = if delta { Variant::Delta } else { Variant::Sotw };
        let (mut stream, mut pass, mut take) = (Vec::new(), Vec::new(), Vec::new());
        for shape in shapes {
            let message = encoded(variant, shape);
            stream.extend(framed(&message));
            if shape.0 {
                take.push(Some(message));
            } else {
                pass.extend(framed(&message));
            }
        }
        let mut sieve = Sieve::new(variant, WANTED, 1 << 20);
        let (mut passed, mut taken, mut rest) = (Vec::new(), Vec::new(), &stream[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (frame, after) = rest.split_at((*cut).min(rest.len()));
            sieved(&mut sieve, frame, &mut passed, &mut taken);
            rest = after;
        }
        prop_assert_eq!(passed, pass);
        prop_assert_eq!(taken, take);
    }

    #[test]
    fn garbage_passes_or_is_waited_for(bytes in prop::collection::vec(any::<u8>(), 0..6000)) {
        let mut sieve = Sieve::new(Variant::Delta, WANTED, 1 << 20);
        let (mut passed, mut taken) = (Vec::new(), Vec::new());
        sieved(&mut sieve, &bytes, &mut passed, &mut taken);
        prop_assert!(bytes.starts_with(&passed));
    }
}

#[test]
fn a_frame_without_wanted_messages_passes_as_it_is() {
    let message = framed(&encoded(Variant::Delta, (false, 3, 100, true)));
    let frame = Bytes::from(message.repeat(5));
    let mut sieve = Sieve::new(Variant::Delta, WANTED, 1 << 20);
    sieve.push(frame.clone());
    let Some(Piece::Passed(passed)) = sieve.next() else {
        panic!("nothing passes");
    };
    assert_eq!(passed.as_ptr(), frame.as_ptr(), "it was copied");
    assert_eq!(passed.len(), frame.len());
    assert_eq!(sieve.next(), None);
}

#[test]
fn what_is_too_large_is_dropped_and_told() {
    let message = encoded(Variant::Delta, (true, 1, 5000, false));
    let after = framed(&encoded(Variant::Delta, (false, 0, 0, false)));
    let mut sieve = Sieve::new(Variant::Delta, WANTED, message.len() - 1);
    let (mut passed, mut taken) = (Vec::new(), Vec::new());
    for frame in [framed(&message), after.clone()].concat().chunks(700) {
        sieved(&mut sieve, frame, &mut passed, &mut taken);
    }
    assert_eq!((passed, taken), (after, vec![None]));
}
