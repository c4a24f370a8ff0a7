//! An encoder whose embeddings are kept in a file, for those that take long to make one.
//!
//! An embedding is found again by what the encoder sees: the prepared pixels. So it is never stale, whatever became of the picture's file, and
//! a run that was stopped goes on where it was.
//!
//! The file, all numbers little-endian: 16 bytes `alike features 1`, the dimension `d` (8 bytes), 16 bytes of the fingerprint's digest; then a
//! record an image: the digest of its pixels (16 bytes), `d` floats of 32 bits, and the digest of these two (8 bytes). Digests are XXH3. A record
//! whose digest is wrong counts as absent, and what a writer that died left at the end is cut off by the next.

use super::{Encoder, EncoderError, EncoderFacts, check_shape};
use crate::data::FEATURES;
use crate::files;
use crate::images::{Features, Images};
use crate::meter::stage;
use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

const MAGIC: &[u8; 16] = b"alike features 1";
const HEAD: u64 = 40;
/// Images that are embedded before their embeddings are written down.
const AT_ONCE: usize = 64;

/// An encoder that embeds no image twice.
pub struct Cached<E> {
    encoder: E,
    store: Option<Mutex<Store>>,
}

impl<E: Encoder> Cached<E> {
    /// Keeps embeddings in a file of this folder. Where it cannot be written, or another process writes it, nothing is kept.
    pub fn new(encoder: E, folder: &Path) -> Cached<E> {
        let facts = encoder.facts();
        let own = xxh3_128(facts.fingerprint.as_bytes());
        let path = folder.join(format!("{own:032x}.{FEATURES}"));
        let store = Store::open(path, facts.dimension, own).ok().map(Mutex::new);
        Cached { encoder, store }
    }

    /// Keeps nothing.
    pub fn without_file(encoder: E) -> Cached<E> {
        Cached { encoder, store: None }
    }

    /// Reads what is known of some images, by their digests.
    fn find(&self, digests: &[u128], out: &mut [f32]) -> Vec<usize> {
        let Some(store) = &self.store else { return (0..digests.len()).collect() };
        let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
        let d = self.encoder.facts().dimension;
        let unknown = |i: &usize| !store.read(digests[*i], &mut out[i * d..][..d]);
        (0..digests.len()).filter(unknown).collect()
    }
}

impl<E: Encoder> Encoder for Cached<E> {
    fn facts(&self) -> &EncoderFacts {
        self.encoder.facts()
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        check_shape(self.facts(), images)?;
        let d = self.facts().dimension;
        let mut out = vec![0.0; images.len() * d];
        let mut scratch = Vec::new();
        let digests: Vec<u128> = (0..images.len())
            .map(|i| Ok(xxh3_128(images.image(i, &mut scratch)?)))
            .collect::<Result<_, EncoderError>>()?;
        let unknown = self.find(&digests, &mut out);
        let stage = stage("embedding", unknown.len());
        for some in unknown.chunks(AT_ONCE) {
            let made = self.encoder.embed(&images.select(some))?;
            for (i, row) in some.iter().zip(made.rows()) {
                out[i * d..][..d].copy_from_slice(row);
            }
            if let Some(store) = &self.store {
                let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
                // A full disk is no reason to give up: the next image is tried again.
                let _ = store.add(some.iter().map(|i| digests[*i]).zip(made.rows()));
            }
            stage.advance(some.len());
        }
        Ok(Features::new(d, out))
    }
}

/// The open file: this process alone may write it.
#[derive(Debug)]
struct Store {
    file: File,
    d: usize,
    /// By digest: the record's number.
    records: HashMap<u128, u64>,
    /// How many records there are.
    count: u64,
}

impl Store {
    fn open(path: PathBuf, d: usize, own: u128) -> io::Result<Store> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let mut file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path)?;
        file.try_lock().map_err(|e| io::Error::other(e.to_string()))?;
        let head = [&MAGIC[..], &(d as u64).to_le_bytes(), &own.to_le_bytes()].concat();
        let mut there = vec![0; HEAD as usize];
        let known =
            file.metadata()?.len() >= HEAD && files::read_at(&file, &mut there, 0).is_ok() && there == head;
        if !known {
            file.set_len(0)?;
            file.write_all(&head)?;
        }
        // What was used last goes last when room is made.
        file.set_modified(std::time::SystemTime::now())?;
        let mut store = Store { file, d, records: HashMap::new(), count: 0 };
        store.count = (store.file.metadata()?.len() - HEAD) / store.size();
        store.file.set_len(HEAD + store.count * store.size())?;
        let mut digest = [0; 16];
        for number in 0..store.count {
            files::read_at(&store.file, &mut digest, HEAD + number * store.size())?;
            store.records.insert(u128::from_le_bytes(digest), number);
        }
        Ok(store)
    }

    /// Bytes of a record.
    fn size(&self) -> u64 {
        (16 + size_of::<f32>() * self.d + 8) as u64
    }

    /// Whether the embedding of these pixels is there.
    fn read(&mut self, digest: u128, out: &mut [f32]) -> bool {
        let Some(number) = self.records.get(&digest) else { return false };
        let mut record = vec![0; self.size() as usize];
        let content = record.len() - 8;
        if files::read_at(&self.file, &mut record, HEAD + number * self.size()).is_err()
            || record[..16] != digest.to_le_bytes()
            || record[content..] != xxh3_64(&record[..content]).to_le_bytes()
        {
            self.records.remove(&digest);
            return false;
        }
        let (numbers, _) = record[16..content].as_chunks::<4>();
        out.iter_mut().zip(numbers).for_each(|(v, bytes)| *v = f32::from_le_bytes(*bytes));
        true
    }

    fn add<'a>(&mut self, made: impl Iterator<Item = (u128, &'a [f32])>) -> io::Result<()> {
        use std::io::{Seek, SeekFrom};
        let (mut bytes, mut new) = (Vec::new(), Vec::new());
        for (digest, row) in made {
            let start = bytes.len();
            bytes.extend(digest.to_le_bytes());
            row.iter().for_each(|v| bytes.extend(v.to_le_bytes()));
            let sum = xxh3_64(&bytes[start..]);
            bytes.extend(sum.to_le_bytes());
            new.push(digest);
        }
        self.file.seek(SeekFrom::Start(HEAD + self.count * self.size()))?;
        self.file.write_all(&bytes)?;
        for digest in new {
            self.records.insert(digest, self.count);
            self.count += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Preparation;
    use crate::images::Shape;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// An embedding is the image's first two pixels.
    struct Counting {
        facts: EncoderFacts,
        embedded: AtomicUsize,
    }

    impl Encoder for Counting {
        fn facts(&self) -> &EncoderFacts {
            &self.facts
        }

        fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
            self.embedded.fetch_add(images.len(), Ordering::Relaxed);
            let mut scratch = Vec::new();
            let mut out = Vec::new();
            for i in 0..images.len() {
                out.extend(images.image(i, &mut scratch)?[..2].iter().map(|v| f32::from(*v)));
            }
            Ok(Features::new(2, out))
        }
    }

    fn counting(fingerprint: &str) -> Counting {
        let preparation = Preparation::exact(Shape { h: 1, w: 3, c: 1 });
        let facts =
            EncoderFacts { preparation, dimension: 2, unit_length: false, fingerprint: fingerprint.into() };
        Counting { facts, embedded: AtomicUsize::new(0) }
    }

    fn images(n: u8) -> Images {
        Images::new(Shape { h: 1, w: 3, c: 1 }, (0..3 * n).collect())
    }

    #[test]
    fn no_image_is_embedded_twice_and_damage_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let embed = |fingerprint: &str, n: u8| {
            let encoder = Cached::new(counting(fingerprint), folder.path());
            let features = encoder.embed(&images(n)).unwrap();
            let want: Vec<f32> = (0..n).flat_map(|i| [3 * i, 3 * i + 1]).map(f32::from).collect();
            assert_eq!(features.data(), want);
            encoder.encoder.embedded.load(Ordering::Relaxed)
        };
        assert_eq!(embed("one", 5), 5);
        assert_eq!(embed("one", 7), 2);
        assert_eq!(embed("two", 7), 7, "another encoder's are others");
        let path = folder.path().join(format!("{:032x}.{FEATURES}", xxh3_128(b"one")));
        let bytes = std::fs::read(&path).unwrap();
        assert_eq!(bytes.len() as u64, HEAD + 7 * 32);
        // A flipped bit in a record, a record that was cut off, and no head at all.
        let mut flipped = bytes.clone();
        flipped[HEAD as usize + 2 * 32 + 17] ^= 4;
        for (damaged, again) in
            [(&flipped[..], 1), (&bytes[..bytes.len() - 5], 1), (&bytes[..20], 7), (b"", 7)]
        {
            std::fs::write(&path, damaged).unwrap();
            assert_eq!(embed("one", 7), again);
            assert_eq!(embed("one", 7), 0, "mended");
        }
        // Two at once: one of them keeps nothing, and both are right.
        let first = Cached::new(counting("one"), folder.path());
        assert_eq!(embed("one", 7), 7);
        drop(first);
        assert_eq!(embed("one", 7), 0);
    }
}
