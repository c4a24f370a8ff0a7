//! Public sets by name: found on this machine, or downloaded and checked.

use super::checksum::{Sum, content_sum};
#[cfg(feature = "download")]
use super::download::fetch;
use super::idx::{IDX_FILES, idx_file, read as read_idx, read_folder as read_idx_folder};
use super::{Asked, Catalogues, Found, Kind, Wish};
use crate::data::cache::Keep;
use crate::data::{DataError, Dataset, Progress};
use etcetera::base_strategy::{BaseStrategy, choose_native_strategy};
use std::path::{Path, PathBuf};

/// Where sets are looked for and kept.
#[derive(Clone, Debug, Default)]
pub struct DataPaths {
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
    /// Catalogues of pictures, such as collections; other sources of the same name go before.
    pub catalogues: Option<&'static dyn Catalogues>,
}

/// Sets that cannot be downloaded here, but are known by the name of their folder.
pub const KNOWN_FOLDERS: [(&str, &str); 4] = [
    ("omniglot", "drawn characters of 50 alphabets (Lake, Salakhutdinov, Tenenbaum 2015)"),
    ("orl-faces", "faces of 40 people (AT&T Laboratories Cambridge 1994)"),
    ("cifar-10", "small photographs of ten kinds (Krizhevsky 2009)"),
    ("cifar-100", "small photographs of a hundred kinds (Krizhevsky 2009)"),
];

impl DataPaths {
    /// Those of the environment: sets are searched for in the folder that `ALIKE_DATA` names, and in the user's cache.
    pub fn from_env() -> DataPaths {
        let data_dir = std::env::var_os("ALIKE_DATA").filter(|dir| !dir.is_empty()).map(PathBuf::from);
        DataPaths { data_dir, ..DataPaths::default() }
    }

    /// The folder `name` among the data, or in the cache.
    pub fn folder(&self, name: &str) -> Option<PathBuf> {
        let paths = self.data_dir.iter().cloned().chain([self.cache()]);
        paths.map(|dir| dir.join(name)).find(|path| path.exists())
    }

    pub(in crate::data) fn cache(&self) -> PathBuf {
        self.cache
            .clone()
            .or_else(|| choose_native_strategy().ok().map(|user| user.cache_dir().join("alike")))
            .unwrap_or_else(|| PathBuf::from(".alike-cache"))
    }
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
    #[cfg_attr(not(feature = "download"), expect(dead_code, reason = "nothing is downloaded"))]
    mirrors: &'static [&'static str],
    /// In the order of [`IDX_FILES`].
    sums: [Sum; 4],
}

/// Every set that can be had by name. Checksums of packed files are those that TensorFlow Datasets publishes
/// (`tensorflow_datasets/url_checksums`); MNIST's are of the unpacked files, which repacking does not change, with the MD5 that torchvision
/// publishes (`torchvision/datasets/mnist.py`).
pub const NAMED: [NamedSet; 3] = [
    NamedSet {
        name: "mnist",
        about: "handwritten digits (LeCun, Cortes, Burges 1998)",
        classes: ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"],
        mirrors: &[
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
        ],
        sums: [
            Sum::Content("ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"),
            Sum::Content("65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"),
            Sum::Content("0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"),
            Sum::Content("ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"),
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
            "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        ],
        sums: [
            Sum::Packed("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            Sum::Packed("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            Sum::Packed("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            Sum::Packed("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ],
    },
    NamedSet {
        name: "kmnist",
        about: "cursive Japanese characters (Clanuwat et al. 2018)",
        classes: ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        mirrors: &[
            "https://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
        ],
        sums: [
            Sum::Packed("51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            Sum::Packed("e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            Sum::Packed("edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            Sum::Packed("20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ],
    },
];

/// The set called `name`, if there is one.
pub fn named(name: &str) -> Option<&'static NamedSet> {
    static SETS: [NamedSet; 3] = NAMED;
    SETS.iter().find(|set| set.name == name)
}

/// A public set that is asked for by its name.
pub(super) struct NamedSets;

impl Kind for NamedSets {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        named(asked.what).is_some()
    }

    fn has_table(&self) -> bool {
        false
    }

    fn list(&self, asked: &Asked<'_>, _: Wish<'_>, progress: &mut dyn Progress) -> Result<Found, DataError> {
        let set = named(asked.what).ok_or_else(|| super::wrong(asked.path, "no set has this name"))?;
        set.load(asked.paths, progress).map(Found::from)
    }
}

impl NamedSet {
    /// The folder with all four files, if they are on this machine.
    pub fn find(&self, paths: &DataPaths) -> Option<PathBuf> {
        let data_dir = paths.data_dir.iter().map(|dir| dir.join(self.name));
        data_dir
            .chain([paths.cache().join(self.name)])
            .find(|folder| IDX_FILES.iter().all(|file| idx_file(folder, file).is_some()))
    }

    /// Reads the set, downloading it first where it is not on this machine.
    ///
    /// # Errors
    ///
    /// If it cannot be had, or its files are not those that were published.
    pub fn load(&self, paths: &DataPaths, progress: &mut dyn Progress) -> Result<Dataset, DataError> {
        let folder = self.fetch(paths, progress)?;
        self.verify(&folder)?;
        read_idx_folder(&folder, self.name, Some(&self.classes))
    }

    /// Makes sure that the set is on this machine; returns its folder.
    ///
    /// # Errors
    ///
    /// If it is not, and no mirror has it.
    pub fn fetch(&self, paths: &DataPaths, progress: &mut dyn Progress) -> Result<PathBuf, DataError> {
        if let Some(folder) = self.find(paths) {
            return Ok(folder);
        }
        let folder = paths.cache().join(self.name);
        let unavailable = |why: String| DataError::Unavailable {
            name: self.name.to_owned(),
            why,
            files: IDX_FILES.map(|file| format!("{file}.gz")).join(", "),
            folder: paths.data_dir.as_ref().map_or_else(|| folder.clone(), |dir| dir.join(self.name)),
        };
        if paths.offline {
            return Err(unavailable("the network is switched off".into()));
        }
        self.download(&folder, paths, progress).map_err(unavailable)?;
        Ok(folder)
    }

    /// Fetches the files that are not in a folder yet; an error is what every mirror said.
    #[cfg(feature = "download")]
    fn download(&self, folder: &Path, paths: &DataPaths, progress: &mut dyn Progress) -> Result<(), String> {
        for (file, sum) in IDX_FILES.iter().zip(self.sums) {
            if idx_file(folder, file).is_some() {
                continue;
            }
            let mut why = Vec::new();
            let mirrors = paths.mirror.iter().map(String::as_str).chain(self.mirrors.iter().copied());
            let fetched = mirrors.into_iter().any(|mirror| {
                let slash = if mirror.ends_with('/') { "" } else { "/" };
                let url = format!("{mirror}{slash}{file}.gz");
                match fetch(&url, &folder.join(format!("{file}.gz")), sum, progress) {
                    Ok(()) => true,
                    Err(e) => {
                        why.push(e.to_string());
                        false
                    }
                }
            });
            if !fetched {
                return Err(why.join("; "));
            }
        }
        Ok(())
    }

    #[cfg(not(feature = "download"))]
    fn download(&self, _: &Path, _: &DataPaths, _: &mut dyn Progress) -> Result<(), String> {
        Err("alike was built without its feature 'download'".into())
    }

    /// Checks what can be checked of files that somebody else may have put there.
    fn verify(&self, folder: &Path) -> Result<(), DataError> {
        for (file, sum) in IDX_FILES.iter().zip(self.sums) {
            let (Sum::Content(expected), Some(path)) = (sum, idx_file(folder, file)) else { continue };
            // An IDX file that cannot be read is reported as such rather than by its checksum.
            read_idx(&path)?;
            let got = content_sum(&path)?;
            if got != expected {
                return Err(DataError::Checksum { path, got, expected: expected.to_owned() });
            }
        }
        Ok(())
    }
}
