//! Classes, parts and categories out of the paths of pictures.

use super::Member;
use crate::data::listing::{Entry, Listing, Part};
use crate::data::picture::is_picture;

/// The part that a folder's name means.
pub(super) fn part(name: &str) -> Option<Part> {
    match name.to_ascii_lowercase().as_str() {
        "train" | "training" => Some(Part::Train),
        "val" | "valid" | "validation" | "dev" => Some(Part::Validation),
        "test" | "testing" | "eval" => Some(Part::Test),
        _ => None,
    }
}

/// Members that are pictures, with what their paths tell. Others are counted.
pub(super) fn arrange(members: Vec<Member>, nested: bool) -> Listing {
    let (mut pictures, others): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|m| is_picture(&m.name));
    let mut listing = Listing::default();
    others.iter().for_each(|m| listing.leave_out(&m.name));
    pictures.sort_by(|a, b| a.name.cmp(&b.name));
    let names: Vec<String> = pictures.iter().map(|m| m.name.clone()).collect();
    let mut paths: Vec<&str> = names.iter().map(String::as_str).collect();
    // Folders that all share say nothing.
    while let Some((first, _)) = paths.first().and_then(|p| p.split_once('/'))
        && part(first).is_none()
        && paths.iter().all(|p| p.split_once('/').is_some_and(|(f, _)| f == first))
    {
        paths.iter_mut().for_each(|p| *p = &p[first.len() + 1..]);
    }
    let by_part = |p: &&str| p.split_once('/').and_then(|(f, _)| part(f));
    let parted = paths.iter().all(|p| by_part(p).is_some())
        && paths.iter().any(|p| by_part(p) == Some(Part::Train))
        && paths.iter().any(|p| by_part(p) != Some(Part::Train));
    let parts: Vec<Option<Part>> = paths.iter().map(|p| by_part(p).filter(|_| parted)).collect();
    if parted {
        paths.iter_mut().for_each(|p| *p = p.split_once('/').map_or(*p, |(_, rest)| rest));
        listing.notes.push("the folders train, val and test are its parts".into());
    }
    let omniglot = !paths.is_empty() && paths.iter().all(|p| is_omniglot(p));
    for ((member, path), part) in pictures.into_iter().zip(&paths).zip(parts) {
        let mut entry = Entry::new(member.name, member.place);
        entry.part = part;
        if let Some((folders, _)) = path.rsplit_once('/') {
            let first = folders.split('/').next().unwrap_or(folders);
            let whole = nested || omniglot;
            entry.class = Some(if whole { folders } else { first }.to_owned());
            entry.category = (whole && folders != first).then(|| first.to_owned());
        }
        listing.entries.push(entry);
    }
    drop_classless(&mut listing);
    listing
}

/// Where some images have a class, those without are left out, and that is said.
pub(super) fn drop_classless(listing: &mut Listing) {
    let without = listing.entries.iter().filter(|e| e.class.is_none()).count();
    if without > 0 && without < listing.entries.len() {
        listing.entries.retain(|e| e.class.is_some());
        listing.notes.push(format!("{without} images have no class beside others that do, and are left out"));
    }
}

/// `ALPHABET/characterNN/FILE`.
fn is_omniglot(path: &str) -> bool {
    let folders: Vec<&str> = path.split('/').collect();
    matches!(folders[..], [_, character, _]
        if character.strip_prefix("character").is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::listing::Place;

    fn classes(names: &[&str], nested: bool) -> Vec<Option<String>> {
        listing(names, nested).entries.into_iter().map(|e| e.class).collect()
    }

    fn listing(names: &[&str], nested: bool) -> Listing {
        let member = |n: &&str| Member { name: (*n).to_owned(), place: Place::File((*n).into()) };
        arrange(names.iter().map(member).collect(), nested)
    }

    #[test]
    fn a_class_is_the_first_folder_or_the_whole_path() {
        let names = ["cats/tabby/1.png", "cats/2.png", "dogs/3.JPG", "dogs/readme.txt"];
        let some = |list: &[&str]| list.iter().map(|c| Some((*c).to_owned())).collect::<Vec<_>>();
        assert_eq!(classes(&names, false), some(&["cats", "cats", "dogs"]));
        assert_eq!(classes(&names, true), some(&["cats", "cats/tabby", "dogs"]));
        assert_eq!(listing(&names, false).ignored, 1);
        assert_eq!(
            classes(&["pack/a/1.png", "pack/b/1.png"], false),
            some(&["a", "b"]),
            "shared folders say nothing"
        );
        assert_eq!(classes(&["1.png", "2.png"], false), [None, None]);
    }

    #[test]
    fn parts_are_folders_of_their_names_and_characters_are_of_alphabets() {
        let l = listing(&["x/test/a/1.png", "x/train/a/1.png", "x/valid/b/2.png"], false);
        let parts: Vec<_> = l.entries.iter().map(|e| (e.part, e.class.as_deref())).collect();
        let a = Some("a");
        assert_eq!(
            parts,
            [(Some(Part::Test), a), (Some(Part::Train), a), (Some(Part::Validation), Some("b"))]
        );
        let l = listing(
            &["images_background/Greek/character01/1.png", "images_background/Latin/character02/1.png"],
            false,
        );
        assert_eq!(l.entries[0].class.as_deref(), Some("Greek/character01"));
        assert_eq!(l.entries[0].category.as_deref(), Some("Greek"));
    }

    #[test]
    fn pictures_beside_class_folders_are_left_out_aloud() {
        let l = listing(&["a/1.png", "b/2.png", "stray.png"], false);
        assert_eq!((l.entries.len(), l.notes.len()), (2, 1));
    }
}
