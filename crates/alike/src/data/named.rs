//! Public sets by name: found on this machine, or downloaded and checked.

use super::cache::Keep;
use super::download::fetch;
use super::idx::idx_file;
use super::progress::Progress;
use super::{DataError, Dataset, IDX_FILES, read_idx, read_idx_folder};
use crate::files::FileError;
use md5::{Digest, Md5};
use std::path::{Path, PathBuf};

/// Where sets are looked for and kept.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Searched first: holds a folder a set. The command line fills it from `--data-dir` or `$ALIKE_DATA`.
    pub data_dir: Option<PathBuf>,
    /// Searched next, and downloaded into; the user's cache folder if not given.
    pub cache: Option<PathBuf>,
    /// Asked before the public mirrors: a folder's URL, ending in a slash.
    pub mirror: Option<String>,
    /// Never ask the network.
    pub offline: bool,
    /// Where prepared images are kept.
    pub keep: Keep,
}

/// Sets that cannot be downloaded here, but are known by the name of their folder.
pub const KNOWN_FOLDERS: [(&str, &str); 4] = [
    ("omniglot", "drawn characters of 50 alphabets (Lake, Salakhutdinov, Tenenbaum 2015)"),
    ("orl-faces", "faces of 40 people (AT&T Laboratories Cambridge 1994)"),
    ("cifar-10", "small photographs of ten kinds (Krizhevsky 2009)"),
    ("cifar-100", "small photographs of a hundred kinds (Krizhevsky 2009)"),
];

impl Places {
    /// The folder `name` among the data, or in the cache.
    pub fn folder(&self, name: &str) -> Option<PathBuf> {
        let places = self.data_dir.iter().cloned().chain([self.cache()]);
        places.map(|dir| dir.join(name)).find(|path| path.exists())
    }

    pub(super) fn cache(&self) -> PathBuf {
        self.cache
            .clone()
            .or_else(|| dirs::cache_dir().map(|dir| dir.join("alike")))
            .unwrap_or_else(|| PathBuf::from(".alike-cache"))
    }
}

/// An MD5 sum that the publisher, or torchvision on its behalf, gives for a file.
#[derive(Clone, Copy, Debug)]
pub(super) enum Sum {
    /// Of the content, however it is compressed.
    Content(&'static str),
    /// Of the `.gz` file as published; it can only be checked when that very file is downloaded.
    Packed(&'static str),
}

/// A public set in MNIST's layout: 28 x 28 grey images of ten classes, 60,000 for training and 10,000 for testing.
#[derive(Debug)]
pub struct NamedSet {
    /// As users write it, and as its folder is called.
    pub name: &'static str,
    /// One line about it.
    pub about: &'static str,
    classes: [&'static str; 10],
    /// Folders' URLs, tried in turn.
    mirrors: &'static [&'static str],
    /// In the order of [`IDX_FILES`].
    sums: [Sum; 4],
}

/// Every set that can be had by name. Checksums: torchvision 0.2x, `torchvision/datasets/mnist.py`, for the packed
/// files; MNIST's are those of the unpacked files, which repacking does not change.
pub const NAMED: [NamedSet; 3] = [
    NamedSet {
        name: "mnist",
        about: "handwritten digits (LeCun, Cortes, Burges 1998)",
        classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        mirrors: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "http://yann.lecun.com/exdb/mnist/",
        ],
        sums: [
            Sum::Content("6bbc9ace898e44ae57da46a324031adb"),
            Sum::Content("a25bea736e30d166cdddb491f175f624"),
            Sum::Content("2646ac647ad5339dbf082846283269ea"),
            Sum::Content("27ae3e4e09519cfbb04c329615203637"),
        ],
    },
    NamedSet {
        name: "fashion-mnist",
        about: "photographs of clothes (Xiao, Rasul, Vollgraf 2017)",
        classes: [
            "T-shirt",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ],
        mirrors: &[
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
        ],
        sums: [
            Sum::Packed("8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            Sum::Packed("25c81989df183df01b3e8a0aad5dffbe"),
            Sum::Packed("bef4ecab320f06d8554ea6380940ec79"),
            Sum::Packed("bb300cfdad3c16e7a12a480ee83cd310"),
        ],
    },
    NamedSet {
        name: "kmnist",
        about: "cursive Japanese characters (Clanuwat et al. 2018)",
        classes: ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        mirrors: &[
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ],
        sums: [
            Sum::Packed("bdb82020997e1d708af4cf47b453dcf7"),
            Sum::Packed("e144d726b3acfaa3e44228e80efcd344"),
            Sum::Packed("5c965bf0a639b31b8f53240b1b52f4d7"),
            Sum::Packed("7320c461ea6c1c855c0b718fb2a4b134"),
        ],
    },
];

/// The set called `name`, if there is one.
pub fn named(name: &str) -> Option<&'static NamedSet> {
    static SETS: [NamedSet; 3] = NAMED;
    SETS.iter().find(|set| set.name == name)
}

impl NamedSet {
    /// The folder with all four files, if they are on this machine.
    pub fn find(&self, places: &Places) -> Option<PathBuf> {
        let data_dir = places.data_dir.iter().map(|dir| dir.join(self.name));
        data_dir
            .chain([places.cache().join(self.name)])
            .find(|folder| IDX_FILES.iter().all(|file| idx_file(folder, file).is_some()))
    }

    /// Reads the set, downloading it first where it is not on this machine.
    pub fn load(&self, places: &Places, progress: &mut dyn Progress) -> Result<Dataset, DataError> {
        let folder = self.fetch(places, progress)?;
        self.verify(&folder)?;
        read_idx_folder(&folder, self.name, Some(&self.classes))
    }

    /// Makes sure that the set is on this machine; returns its folder.
    pub fn fetch(&self, places: &Places, progress: &mut dyn Progress) -> Result<PathBuf, DataError> {
        if let Some(folder) = self.find(places) {
            return Ok(folder);
        }
        let folder = places.cache().join(self.name);
        let unavailable = |why: String| DataError::Unavailable {
            name: self.name.to_owned(),
            why,
            files: IDX_FILES.map(|file| format!("{file}.gz")).join(", "),
            folder: places.data_dir.as_ref().map_or_else(|| folder.clone(), |dir| dir.join(self.name)),
        };
        if places.offline {
            return Err(unavailable("the network is switched off".into()));
        }
        for (file, sum) in IDX_FILES.iter().zip(self.sums) {
            if idx_file(&folder, file).is_some() {
                continue;
            }
            let mut why = String::new();
            let mirrors = places.mirror.iter().map(String::as_str).chain(self.mirrors.iter().copied());
            let fetched = mirrors.into_iter().any(|mirror| {
                let slash = if mirror.ends_with('/') { "" } else { "/" };
                let url = format!("{mirror}{slash}{file}.gz");
                match fetch(&url, &folder.join(format!("{file}.gz")), sum, progress) {
                    Ok(()) => true,
                    Err(e) => {
                        why = e.to_string();
                        false
                    }
                }
            });
            if !fetched {
                return Err(unavailable(why));
            }
        }
        Ok(folder)
    }

    /// Checks what can be checked of files that somebody else may have put there.
    fn verify(&self, folder: &Path) -> Result<(), DataError> {
        for (file, sum) in IDX_FILES.iter().zip(self.sums) {
            let (Sum::Content(expected), Some(path)) = (sum, idx_file(folder, file)) else { continue };
            // An IDX file that cannot be read is reported as such rather than by its checksum.
            read_idx(&path)?;
            let got = content_md5(&path)?;
            if got != expected {
                return Err(DataError::Checksum { path, got, expected: expected.to_owned() });
            }
        }
        Ok(())
    }
}

/// The MD5 of a file's content, unpacked where its name ends in `.gz`.
fn content_md5(path: &Path) -> Result<String, DataError> {
    let file = crate::files::open(path)?;
    let mut hash = Md5Writer::default();
    let copied = if path.extension().is_some_and(|e| e == "gz") {
        std::io::copy(&mut flate2::read::MultiGzDecoder::new(std::io::BufReader::new(file)), &mut hash)
    } else {
        std::io::copy(&mut std::io::BufReader::new(file), &mut hash)
    };
    copied.map_err(FileError::reading(path))?;
    Ok(hash.hex())
}

/// Hashes what is written to it.
#[derive(Default)]
pub(super) struct Md5Writer(Md5);

impl Md5Writer {
    pub(super) fn hex(self) -> String {
        self.0.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::io::Write for Md5Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
