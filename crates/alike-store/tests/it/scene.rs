//! A folder of small pictures, an encoder that can be reckoned by hand, and a collection.

use alike::data::{OnError, Preparation};
use alike::encoder::{Encoder, EncoderError, EncoderFacts, check_shape};
use alike::images::{Features, Images, Shape};
use alike_store::{
    About, Address, Collection, Embedder, NewItem, Occasion, SyncAnswer, SyncOptions, Taken, sync,
};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The embedding of a picture of 2 x 1 pixels is these two, and their sum; it counts what it embeds.
pub(crate) struct Pixels {
    facts: EncoderFacts,
    pub(crate) embedded: AtomicUsize,
}

impl Pixels {
    pub(crate) fn new(fingerprint: &str) -> Pixels {
        let facts = EncoderFacts {
            preparation: Preparation::exact(Shape { h: 1, w: 2, c: 1 }),
            dimension: 3,
            unit_length: false,
            fingerprint: fingerprint.into(),
        };
        Pixels { facts, embedded: AtomicUsize::new(0) }
    }

    pub(crate) fn embedder(&self) -> Embedder<'_> {
        Embedder {
            encoder: self,
            preparation: self.facts.preparation,
            on_error: OnError::Skip,
            nested: false,
        }
    }

    /// How many pictures were embedded since it was last asked.
    pub(crate) fn count(&self) -> usize {
        self.embedded.swap(0, Ordering::Relaxed)
    }
}

impl Encoder for Pixels {
    fn facts(&self) -> &EncoderFacts {
        &self.facts
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        check_shape(&self.facts, images)?;
        self.embedded.fetch_add(images.len(), Ordering::Relaxed);
        let mut data = Vec::new();
        let mut scratch = Vec::new();
        for i in 0..images.len() {
            let pixels = images.image(i, &mut scratch)?;
            data.extend([
                f32::from(pixels[0]),
                f32::from(pixels[1]),
                f32::from(pixels[0]) + f32::from(pixels[1]),
            ]);
        }
        Ok(Features::new(3, data))
    }
}

pub(crate) struct Scene {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) encoder: Pixels,
}

impl Scene {
    pub(crate) fn new() -> Scene {
        Scene { folder: tempfile::tempdir().unwrap(), encoder: Pixels::new("pixels") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().canonicalize().unwrap().join(name)
    }

    /// Where a file lies, as a collection knows it.
    pub(crate) fn place(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    pub(crate) fn picture(&self, name: &str, pixels: [u8; 2]) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, [b"P5 2 1 255\n".as_slice(), &pixels].concat()).unwrap();
    }

    pub(crate) fn create(&self, name: &str) -> Collection {
        let about =
            About::new(self.encoder.facts(), Address { model: "pixels".into(), ..Address::default() });
        Collection::create(&self.path(name), about).unwrap()
    }

    pub(crate) fn sync(&self, collection: &mut Collection) -> SyncAnswer {
        self.sync_with(collection, SyncOptions::default())
    }

    pub(crate) fn sync_with(&self, collection: &mut Collection, options: SyncOptions) -> SyncAnswer {
        let folders = [self.path("pictures")];
        sync(collection, &self.encoder.embedder(), &folders, options, &mut alike::data::Quiet).unwrap()
    }
}

/// Adds pictures without files: names, and vectors of three numbers.
pub(crate) fn put(collection: &mut Collection, each: &[(&str, [f32; 3])]) {
    let items: Vec<NewItem> =
        each.iter().map(|(name, _)| NewItem { place: (*name).to_owned(), ..NewItem::default() }).collect();
    let data = each.iter().flat_map(|(_, v)| *v).collect();
    collection
        .add(&items, &Features::new(3, data), &mut Occasion::new("add", "a test"), Taken::Refuse)
        .unwrap();
}

/// All that is in a file and the files beside it.
pub(crate) fn bytes_of(path: &Path) -> Vec<u8> {
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
    let mut all = Vec::new();
    for entry in std::fs::read_dir(path.parent().unwrap()).unwrap().flatten() {
        let other = entry.file_name().to_string_lossy().into_owned();
        if other.starts_with(&name) || other.starts_with(&stem) {
            all.extend(std::fs::read(entry.path()).unwrap());
        }
    }
    all
}
