//! Conditions, a collection with its codes, and manifests of encoders that are taken.

use crate::scratch::Scratch;
use alike::data::Preparation;
use alike::encoder::EncoderFacts;
use alike::images::{Features, Shape};
use alike_onnx::Manifest;
use alike_store::index::{Coded, file_of};
use alike_store::{About, Address, Collection, NewItem, Occasion, Taken};

/// Numbers of a vector.
pub(crate) const WIDTH: usize = 3;

/// A collection of sixty pictures that are not there.
pub(crate) fn kept() -> (Scratch, Collection) {
    let scratch = Scratch::new();
    let facts = EncoderFacts {
        preparation: Preparation::exact(Shape { h: 1, w: 1, c: 1 }),
        dimension: WIDTH,
        unit_length: false,
        fingerprint: "an encoder".into(),
    };
    let about = About { uuid: String::new(), ..About::new(&facts, Address::default()) };
    let mut collection =
        Collection::create(&scratch.at("x.alike"), about).unwrap_or_else(|e| panic!("no collection: {e}"));
    let item = |i: usize| NewItem {
        place: format!("/pictures/{i}.png"),
        class: (!i.is_multiple_of(4)).then(|| format!("class {}", i % 4)),
        facts: [("shelf".to_owned(), i.into()), ("seen".to_owned(), "2024-05-01".into())]
            .into_iter()
            .collect(),
        ..NewItem::default()
    };
    let items: Vec<NewItem> = (0..60).map(item).collect();
    let vectors = Features::new(WIDTH, (0..60 * WIDTH).map(|v| ((v * 37) % 101) as f32 / 8.0).collect());
    let added = collection.add(&items, &vectors, &mut Occasion::new("add", "here"), Taken::Refuse);
    added.unwrap_or_else(|e| panic!("no pictures: {e}"));
    (scratch, collection)
}

pub(crate) fn filter() -> Vec<Vec<u8>> {
    let texts = [
        "class = 'cup' and added > 2024-05-01",
        "not (path like '%/a_b\\%%' or group is null) and size >= 1e3",
        "facts.shelf in (1, 2.5, -3) or facts.\"any name\" != 'it''s'",
        "by_hand = true and modified <= 2024-05-01T12:30:59 and id < 9007199254740993",
        "how not in ('add', 'sync') and with not like 'x' and facts.seen = 2024-05-01",
    ];
    texts.iter().map(|t| t.as_bytes().to_vec()).collect()
}

pub(crate) fn codes() -> Vec<Vec<u8>> {
    let (_folder, collection) = kept();
    let file = file_of(collection.path());
    Coded::open(&collection).unwrap_or_else(|e| panic!("no codes: {e}"));
    vec![std::fs::read(file).unwrap_or_else(|e| panic!("no file of codes: {e}"))]
}

/// What a manifest is read for before its model is.
pub(crate) fn read(manifest: &Manifest) -> Preparation {
    manifest.preparation.pictures()
}

pub(crate) fn encoder() -> Vec<Vec<u8>> {
    vec![include_bytes!("encoder.toml").to_vec()]
}
