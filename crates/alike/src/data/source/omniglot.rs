//! Omniglot as it is published: two archives of drawn characters, and lists of classes that papers split it by.
//!
//! Lake, Salakhutdinov and Tenenbaum, "Human-level concept learning through probabilistic program induction", Science
//! 2015. `images_background.zip` holds 964 characters of 30 alphabets and is trained on; `images_evaluation.zip` holds 659
//! of 20 others. An alphabet is a category.

use super::archive::zip_pictures;
use super::arrange::{arrange, part};
use super::{Asked, Found, Kind, Wish, wrong};
use crate::data::listing::{Entry, Listing, Part};
use crate::data::{DataError, Progress};
use crate::files;
use std::collections::{HashMap, HashSet};
use std::path::Path;

const BACKGROUND: &str = "images_background.zip";
const EVALUATION: &str = "images_evaluation.zip";

/// The folder of the two archives.
pub(super) struct Omniglot;

impl Kind for Omniglot {
    fn recognises(&self, asked: &Asked<'_>) -> bool {
        asked.folder().is_some_and(|folder| folder.join(BACKGROUND).is_file())
    }

    fn list(&self, asked: &Asked<'_>, _: Wish<'_>, _: &mut dyn Progress) -> Result<Found, DataError> {
        open(asked.path).map(Found::from)
    }
}

fn open(folder: &Path) -> Result<Listing, DataError> {
    let mut listing = Listing::default();
    for (file, part) in [(BACKGROUND, Part::Train), (EVALUATION, Part::Test)] {
        let path = folder.join(file);
        if !path.is_file() {
            listing.notes.push(format!("{file} is not there: its images are missing"));
            continue;
        }
        let (archive, members, left) = zip_pictures(&path, listing.archives.len() as u32)?;
        listing.archives.push(archive);
        listing.left.extend(left);
        let half = arrange(members, true);
        listing.ignored += half.ignored;
        listing.unread.merge(half.unread);
        listing.left.extend(half.left);
        listing.entries.extend(half.entries.into_iter().map(|e| Entry { part: Some(part), ..e }));
    }
    listing.notes.push("the background set is trained on, the evaluation set is judged".into());
    Ok(listing)
}

/// The entries that lists of classes name, `train.txt`, `val.txt` and `test.txt` in a folder: a line is a class, or a class
/// and a turn, `ALPHABET/characterNN/rot090`. Every line is a class of its own.
/// The other entries come second.
///
/// Vinyals et al., "Matching Networks for One Shot Learning", 2016, count a character turned by a quarter as another; the
/// lists are those of Snell, Swersky and Zemel, "Prototypical Networks for Few-shot Learning", 2017.
pub(in crate::data) fn list_classes(
    entries: &[Entry],
    folder: &Path,
) -> Result<(Vec<Entry>, Vec<Entry>), DataError> {
    let mut of_class: HashMap<&str, Vec<&Entry>> = HashMap::new();
    entries.iter().for_each(|e| of_class.entry(e.class.as_deref().unwrap_or_default()).or_default().push(e));
    let mut chosen: Vec<Entry> = Vec::new();
    let mut named = HashSet::new();
    let mut any = false;
    for list in ["train", "val", "test"] {
        let path = folder.join(format!("{list}.txt"));
        if !path.is_file() {
            continue;
        }
        any = true;
        for (i, line) in files::read_text(&path)?.lines().enumerate().filter(|(_, l)| !l.trim().is_empty()) {
            let line = line.trim();
            let turn = line.rsplit_once("/rot").and_then(|(class, degrees)| {
                let quarters = ["000", "090", "180", "270"].iter().position(|d| *d == degrees)?;
                Some((class, quarters as u8))
            });
            let (class, quarters) = turn.unwrap_or((line, 0));
            let Some(members) = of_class.get(class) else {
                return Err(wrong(&path, format!("line {}: there is no class '{class}'", i + 1)));
            };
            named.insert(class.to_owned());
            chosen.extend(members.iter().map(|e| Entry {
                class: Some(line.to_owned()),
                part: part(list),
                quarters,
                name: if turn.is_some() {
                    format!("{}@{}", e.name, 90 * u32::from(quarters))
                } else {
                    e.name.clone()
                },
                ..(*e).clone()
            }));
        }
    }
    if !any {
        return Err(wrong(folder, "it holds none of the lists train.txt, val.txt and test.txt"));
    }
    if chosen.is_empty() {
        return Err(wrong(folder, "its lists name no class"));
    }
    let is_named = |e: &&Entry| !named.contains(e.class.as_deref().unwrap_or_default());
    let rest = entries.iter().filter(is_named).cloned().collect();
    Ok((chosen, rest))
}
