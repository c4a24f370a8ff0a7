//! WebDataset's shards: files of one key belong together, `000012.jpg` with `000012.cls` or `000012.json`.
//!
//! A key is a name up to its first dot. Of several pictures the one with the shortest ending stands for the sample: `000.jpg`, not
//! `000.mask.png`. The class is the text of `.cls`, or the `label` (or `class`, `class_name`, `cls`) of `.json`.

use super::{Member, wrong};
use crate::data::DataError;
use crate::data::listing::{Archive, Entry, LeftOut, Listing, Place, Why};
use crate::data::picture::is_picture;
use crate::names::shown;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// What the class is called in a sample's JSON.
const CLASS: [&str; 5] = ["label", "class", "class_name", "cls", "label_name"];
/// Of two pictures with equally short endings, which is the sample's: masks are seldom JPEG.
const FIRST: [&str; 4] = ["jpg", "jpeg", "webp", "png"];

/// A name as key and ending, without the dot.
fn parts(name: &str) -> (&str, &str) {
    let file = name.rfind('/').map_or(0, |at| at + 1);
    let dot = name[file..].find('.').map_or(name.len(), |at| file + at);
    (&name[..dot], name.get(dot + 1..).unwrap_or_default())
}

/// Whether members are samples: classes lie beside pictures, or most pictures of one folder have a file of their key beside them.
/// Several folders are classes.
pub(super) fn are(members: &[Member]) -> bool {
    if members.iter().any(|m| m.name.ends_with(".cls")) {
        return true;
    }
    let facts: BTreeSet<&str> = members
        .iter()
        .map(|m| parts(&m.name))
        .filter(|(_, ending)| matches!(*ending, "json" | "txt"))
        .map(|(key, _)| key)
        .collect();
    let keys: BTreeSet<&str> =
        members.iter().filter(|m| is_picture(&m.name)).map(|m| parts(&m.name).0).collect();
    let folders: BTreeSet<&str> =
        keys.iter().map(|k| k.rsplit_once('/').map_or("", |(folder, _)| folder)).collect();
    if folders.len() > 1 {
        return false;
    }
    let with = keys.iter().filter(|k| facts.contains(*k)).count();
    with > 0 && 2 * with >= keys.len()
}

#[derive(Default)]
struct Sample {
    pictures: Vec<Member>,
    class: Option<Member>,
    json: Option<Member>,
    text: bool,
}

/// The pictures of samples.
pub(super) fn open(path: &Path, archives: Vec<Archive>, members: Vec<Member>) -> Result<Listing, DataError> {
    let mut listing = Listing { archives, ..Listing::default() };
    // Keys may come again in another shard.
    let mut samples: BTreeMap<(u32, String), Sample> = BTreeMap::new();
    for member in members {
        let Place::Span { archive, .. } = member.place else { continue };
        let (key, ending) = parts(&member.name);
        let sample = samples.entry((archive, key.to_owned())).or_default();
        let ending = ending.to_ascii_lowercase();
        if is_picture(&member.name) {
            sample.pictures.push(member);
            continue;
        }
        match ending.as_str() {
            "cls" => sample.class = Some(member),
            "json" => {
                listing.leave_out(&member.name);
                sample.json = Some(member);
            }
            _ => {
                listing.leave_out(&member.name);
                sample.text |= ending == "txt";
            }
        }
    }
    let several = listing.archives.len() > 1;
    let (mut entries, mut others, mut endings) = (Vec::new(), Vec::new(), BTreeSet::new());
    let (mut by_json, mut texts, mut no_picture) = (BTreeMap::<&str, usize>::new(), 0, 0);
    let mut reader = listing.reader();
    for ((archive, _), sample) in samples {
        let shard = shown(listing.archives[archive as usize].path.file_name().unwrap_or_default());
        let named = |name: String| if several { format!("{shard}/{name}") } else { name };
        let mut bytes = |member: &Member| {
            let entry = Entry::new(member.name.clone(), member.place.clone());
            let bytes = reader.bytes(&entry).map(|b| b.to_vec());
            bytes.map_err(|why| wrong(path, format!("{}: {why}", member.name)))
        };
        if sample.pictures.is_empty() {
            no_picture += usize::from(sample.class.is_some());
            continue;
        }
        let mut class = match &sample.class {
            Some(class) => Some(String::from_utf8_lossy(&bytes(class)?).trim().to_owned()),
            None => None,
        };
        if let (None, Some(json)) = (&class, &sample.json) {
            let object: serde_json::Value = serde_json::from_slice(&bytes(json)?).unwrap_or_default();
            for key in CLASS {
                class = match &object[key] {
                    serde_json::Value::String(s) => Some(s.trim().to_owned()),
                    serde_json::Value::Number(n) => Some(n.to_string()),
                    _ => continue,
                };
                *by_json.entry(key).or_default() += 1;
                break;
            }
        }
        texts += usize::from(class.is_none() && sample.text);
        let class = class.filter(|c| !c.is_empty());
        let (own, rest) = stand_for(sample.pictures);
        for picture in rest {
            endings.insert(format!(".{}", parts(&picture.name).1));
            others.push(Entry::new(named(picture.name), picture.place));
        }
        for picture in own {
            entries.push(Entry { class: class.clone(), ..Entry::new(named(picture.name), picture.place) });
        }
    }
    for (key, n) in by_json {
        listing.notes.push(format!("the class of {n} samples is the '{key}' of their .json"));
    }
    if texts > 0 {
        listing.notes.push(format!(
            "{texts} samples have a .txt beside them, which is not read as a class; a class is the text of .cls, or the '{}' of .json",
            CLASS[0]
        ));
    }
    if no_picture > 0 {
        listing.notes.push(format!("{no_picture} samples have a class but no picture"));
    }
    listing.entries = entries;
    if !others.is_empty() {
        let names = endings.into_iter().take(20).collect();
        listing.left.push(LeftOut { names, ..LeftOut::of(Why::OtherOfSample, others) });
    }
    Ok(listing)
}

/// The pictures that stand for a sample, and the others: the one with the shortest ending; all, where none is that of a picture
/// alone, as of `left.jpg` and `right.jpg`.
fn stand_for(mut pictures: Vec<Member>) -> (Vec<Member>, Vec<Member>) {
    if pictures.len() == 1 {
        return (pictures, Vec::new());
    }
    let rank = |m: &Member| {
        let ending = parts(&m.name).1.to_ascii_lowercase();
        let kind = FIRST.iter().position(|f| ending.ends_with(f)).unwrap_or(FIRST.len());
        (ending.matches('.').count(), kind, ending)
    };
    pictures.sort_by_cached_key(rank);
    let dots = rank(&pictures[0]).0;
    let own = if dots == 0 { 1 } else { pictures.iter().filter(|p| rank(p).0 == dots).count() };
    let rest = pictures.split_off(own);
    (pictures, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[&str]) -> Vec<Member> {
        let place = Place::Span { archive: 0, start: 0, len: 0 };
        names.iter().map(|n| Member { name: (*n).to_owned(), place: place.clone() }).collect()
    }

    #[test]
    fn one_picture_stands_for_a_sample_unless_all_are_of_one_rank() {
        let of = |names: &[&str]| -> Vec<String> {
            stand_for(members(names)).0.into_iter().map(|m| m.name).collect()
        };
        assert_eq!(of(&["d/000.mask.png", "d/000.jpg"]), ["d/000.jpg"]);
        assert_eq!(of(&["000.png", "000.jpg"]), ["000.jpg"], "a PNG beside a JPEG is its mask");
        assert_eq!(of(&["000.left.jpg", "000.right.jpg"]).len(), 2);
        assert_eq!(of(&["000.left.jpg", "000.right.jpg", "000.left.mask.png"]).len(), 2);
    }

    #[test]
    fn samples_are_told_from_pictures_in_folders() {
        assert!(are(&members(&["000.jpg", "000.cls"])));
        assert!(are(&members(&["000.jpg", "000.json", "001.jpg", "001.txt"])));
        assert!(!are(&members(&["a/1.jpg", "a/2.jpg", "readme.txt"])));
        assert!(!are(&members(&["metadata.json", "1.jpg", "2.jpg"])));
        assert!(
            !are(&members(&["a/1.jpg", "a/1.txt", "b/2.jpg", "b/2.txt"])),
            "boxes of a detector, in folders of classes"
        );
    }
}
