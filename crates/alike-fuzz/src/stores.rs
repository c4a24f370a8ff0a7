//! Collections and encoders: conditions, files of codes, manifests.

use crate::repair;
use crate::scratch::{Scratch, as_it_is};
use crate::seeds::stores::{WIDTH, kept, read};
use alike::images::Features;
use alike::names::shown;
use alike_onnx::Manifest;
use alike_store::index::{Coded, file_of};
use alike_store::{Collection, Filter, Wanted, search};
use std::path::Path;

thread_local! {
    static KEPT: (Scratch, Collection) = kept();
}

pub(crate) fn filter(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(filter) = text.parse::<Filter>() else { return };
    assert_eq!(filter.to_string().parse::<Filter>().as_ref(), Ok(&filter), "what was written is read back");
    // Whatever is taken is a question that SQLite understands.
    KEPT.with(|(_, collection)| collection.ids(Some(&filter)).unwrap_or_else(|e| panic!("{text}: {e}")));
}

pub(crate) fn codes(bytes: &[u8]) {
    let repaired = repair::codes(bytes).unwrap_or_else(|| bytes.to_vec());
    if as_it_is(bytes, &repaired) {
        coded(bytes);
    }
    if repaired != bytes {
        coded(&repaired);
    }
}

fn coded(bytes: &[u8]) {
    KEPT.with(|(_, collection)| {
        let file = file_of(collection.path());
        std::fs::write(&file, bytes).unwrap_or_else(|e| panic!("{}: {e}", shown(&file)));
        let index = Coded::open(collection).unwrap_or_else(|e| panic!("a file of codes is a cache: {e}"));
        let queries = Features::new(WIDTH, vec![1.0, 2.0, 3.0, -4.0, 0.0, 0.5]);
        let wanted = Wanted { k: 5, skip: 0, filter: None, within: None, best: None };
        // What has the right sum is believed, so that an answer may be another; it must be one.
        let _ = search(collection, &index, &queries, &[None, None], wanted);
    });
}

pub(crate) fn encoder(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let path = Path::new("x.toml");
    let Ok(manifest) = Manifest::parse(&text, path) else { return };
    let written = manifest.to_text();
    let again =
        Manifest::parse(&written, path).unwrap_or_else(|e| panic!("what was written is read back: {e}"));
    assert_eq!(again.to_text(), written, "what was written is read back");
    assert_eq!(again.fingerprint(), manifest.fingerprint(), "it names the same encoder");
    let _ = read(&manifest);
}
