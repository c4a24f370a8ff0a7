//! The one-shot runs of Lake et al.: some images, one of each class, and others that ask which of them they are like.
//!
//! The layout is that of Omniglot's `all_runs.zip` (Lake, Salakhutdinov and Tenenbaum, Science 2015): a folder a run, with a
//! `class_labels.txt` whose lines are two paths, of an image that asks and of the one that is right.

use super::assemble::{Named, finish};
use super::listing::{Content, Entry, Listing, Part};
use super::load_pictures::no_features;
use super::{DataError, DataPaths, Dataset, OnError, Preparation, Progress, source};
use crate::files::{self, FileError};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::Path;

const LABELS: &str = "class_labels.txt";

/// Runs, and the images that they are made of.
#[derive(Clone, Debug)]
pub struct OneShotRuns {
    /// All images, in its training part.
    pub data: Dataset,
    /// In the order of their names.
    pub runs: Vec<OneShotRun>,
}

/// A run; numbers are of images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OneShotRun {
    /// Its folder's name.
    pub name: String,
    /// One image of each class.
    pub support: Vec<usize>,
    /// Images that ask, each with the place in `support` of the one that is right.
    pub queries: Vec<(usize, usize)>,
}

/// Reads runs from an archive or a folder of them, each image prepared as given.
///
/// # Errors
///
/// If there is no run, or one names images that are not there.
pub fn load_one_shot_runs(
    path: &Path,
    preparation: &Preparation,
    paths: &DataPaths,
    progress: &mut dyn Progress,
) -> Result<OneShotRuns, DataError> {
    let wrong = |why: String| DataError::Source { path: path.to_owned(), why };
    let mut listing = source::list(path, source::Wish::default())?;
    if let Some(why) = no_features(&listing, preparation) {
        return Err(wrong(why));
    }
    // What is support and what asks is said by the lists alone.
    listing.entries.extend(std::mem::take(&mut listing.left).into_iter().flat_map(|l| l.entries));
    for entry in &mut listing.entries {
        let place = entry.place.clone();
        *entry = Entry { part: Some(Part::Train), ..Entry::new(entry.name.clone(), place) };
    }
    let texts = label_texts(path, &mut listing)?;
    if texts.is_empty() {
        return Err(wrong(format!(
            "it holds no {LABELS}; one-shot runs are folders with such a file each, as in Omniglot's all_runs.zip"
        )));
    }
    let index: HashMap<&str, usize> =
        listing.entries.iter().enumerate().map(|(i, e)| (e.name.as_str(), i)).collect();
    let mut runs = Vec::new();
    for (folder, text) in &texts {
        let name = folder.rsplit('/').next().unwrap_or(folder).to_owned();
        // Paths are told from above the run's folder.
        let above = folder.rsplit_once('/').map_or(String::new(), |(above, _)| format!("{above}/"));
        let mut run = OneShotRun { name, support: Vec::new(), queries: Vec::new() };
        let mut place: HashMap<usize, usize> = HashMap::new();
        for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let at = |what: &str| format!("{folder}/{LABELS}, line {}: {what}", n + 1);
            let Some((asks, right)) = line.trim().split_once(char::is_whitespace) else {
                return Err(wrong(at("it is not two paths")));
            };
            let image = |name: &str| {
                let path = format!("{above}{}", name.trim());
                index.get(path.as_str()).copied().ok_or_else(|| wrong(at(&format!("there is no {path}"))))
            };
            let (asks, right) = (image(asks)?, image(right)?);
            let next = run.support.len();
            let class = *place.entry(right).or_insert(next);
            if class == next {
                run.support.push(right);
            }
            run.queries.push((asks, class));
        }
        runs.push(run);
    }
    let name = path.display().to_string();
    let what = Named { name: &name, origin: &name, notes: Vec::new(), on_error: OnError::Fail };
    let data = finish(&listing, *preparation, what, paths, progress)?;
    Ok(OneShotRuns { data, runs })
}

/// By folder: the text of its labels.
fn label_texts(path: &Path, listing: &mut Listing) -> Result<BTreeMap<String, String>, DataError> {
    let mut texts = BTreeMap::new();
    let folder_of =
        |name: &str| name.strip_suffix(LABELS).and_then(|f| f.strip_suffix('/')).map(str::to_owned);
    if path.is_dir() {
        let folders: std::collections::BTreeSet<&str> = listing
            .entries
            .iter()
            .flat_map(|e| e.name.match_indices('/').map(|(at, _)| &e.name[..at]))
            .collect();
        for folder in folders {
            let file = path.join(folder).join(LABELS);
            if file.is_file() {
                texts.insert(folder.to_owned(), files::read_text(&file)?);
            }
        }
    }
    for archive in &mut listing.archives {
        let Content::Zip(zip) = &mut archive.content else { continue };
        let names: Vec<String> = zip.file_names().filter_map(|n| n.ok()).map(|n| n.to_string()).collect();
        for (name, folder) in names.iter().filter_map(|n| Some((n, folder_of(n)?))) {
            let unreadable = |e: std::io::Error| DataError::from(FileError::reading(&archive.path)(e));
            let mut text = String::new();
            let file = zip.by_name(name).map_err(|e| unreadable(e.into()))?;
            file.take(1 << 20).read_to_string(&mut text).map_err(unreadable)?;
            texts.insert(folder, text);
        }
    }
    Ok(texts)
}
