//! Classes, parts and categories out of the paths of pictures.

use super::Member;
use crate::data::listing::{Entry, LeftOut, Listing, Part, Role, Why};
use crate::data::picture::is_picture;
use crate::own_files;
use std::collections::{BTreeMap, BTreeSet};

/// What may follow the name of a part.
const AFTER: [&str; 8] = ["set", "data", "images", "imgs", "split", "pictures", "photos", "dir"];

/// The part that a folder, a file or a cell names.
pub(super) fn part(name: &str) -> Option<Part> {
    let name: String =
        name.chars().filter(|c| !matches!(c, ' ' | '-' | '_')).flat_map(char::to_lowercase).collect();
    let bare = AFTER.iter().find_map(|end| name.strip_suffix(end)).unwrap_or(&name);
    match bare {
        "train" | "training" | "trn" => Some(Part::Train),
        "val" | "valid" | "validation" | "validate" | "dev" | "devel" | "development" => {
            Some(Part::Validation)
        }
        "test" | "testing" | "tst" | "eval" | "evaluation" | "holdout" | "heldout" => Some(Part::Test),
        _ => None,
    }
}

/// The part that a name stands for, with what a test image is for.
pub(super) fn part_and_role(name: &str) -> Option<(Part, Role)> {
    match name.to_ascii_lowercase().as_str() {
        "query" | "queries" => Some((Part::Test, Role::Query)),
        "gallery" => Some((Part::Test, Role::Gallery)),
        _ => part(name).map(|part| (part, Role::Both)),
    }
}

/// Members without those in the folders of runs, below the top.
pub(super) fn in_runs(members: Vec<Member>) -> (Vec<Member>, LeftOut) {
    let mut files: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for member in &members {
        if let Some((folder, file)) = member.name.rsplit_once('/')
            && (file == own_files::CONFIG || own_files::OF_A_RUN.contains(&file))
        {
            files.entry(folder).or_default().push(file);
        }
    }
    let runs: BTreeSet<String> = files
        .into_iter()
        .filter(|(_, files)| own_files::is_run(|file| files.contains(&file)))
        .map(|(folder, _)| format!("{folder}/"))
        .collect();
    if runs.is_empty() {
        return (members, LeftOut::new(Why::InRun, []));
    }
    let (within, members): (Vec<Member>, Vec<Member>) =
        members.into_iter().partition(|m| runs.iter().any(|run| m.name.starts_with(run)));
    let count = within.iter().filter(|m| is_picture(&m.name)).count();
    let has_pictures =
        |run: &&String| within.iter().any(|m| is_picture(&m.name) && m.name.starts_with(run.as_str()));
    let names = runs.iter().filter(has_pictures).cloned();
    (members, LeftOut { count, ..LeftOut::new(Why::InRun, names) })
}

/// How paths tell parts.
enum Layout {
    /// They do not.
    Whole,
    /// All are of one part, whose folder says nothing then.
    One,
    /// By their first folders; what lies elsewhere is left out.
    First,
    /// By their second folders: every class has its own.
    Second,
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
        && part_and_role(first).is_none()
        && paths.iter().all(|p| p.split_once('/').is_some_and(|(f, _)| f == first))
    {
        paths.iter_mut().for_each(|p| *p = &p[first.len() + 1..]);
    }
    let layout = layout(&paths);
    let mut aside: BTreeMap<&str, usize> = BTreeMap::new();
    let mut beside = Vec::new();
    let mut parted: Vec<(Entry, String)> = Vec::new();
    for (member, path) in pictures.into_iter().zip(&paths) {
        let mut entry = Entry::new(member.name, member.place);
        let (first, rest) = path.split_once('/').unwrap_or(("", path));
        let of = |folder: &str| part_and_role(folder);
        let path = match layout {
            Layout::Whole => (*path).to_owned(),
            Layout::One => rest.to_owned(),
            Layout::First => match of(first) {
                Some((part, role)) => {
                    (entry.part, entry.role) = (Some(part), role);
                    rest.to_owned()
                }
                None => {
                    *aside.entry(if first.is_empty() { path } else { first }).or_default() += 1;
                    beside.push(entry);
                    continue;
                }
            },
            Layout::Second => match rest.split_once('/').and_then(|(second, rest)| Some((of(second)?, rest)))
            {
                Some(((part, role), rest)) => {
                    (entry.part, entry.role) = (Some(part), role);
                    format!("{first}/{rest}")
                }
                None => {
                    let folder = rest.split_once('/').map_or(first, |(second, _)| second);
                    *aside.entry(folder).or_default() += 1;
                    beside.push(entry);
                    continue;
                }
            },
        };
        parted.push((entry, path));
    }
    match layout {
        Layout::First => {
            let folders: BTreeSet<&str> = paths
                .iter()
                .filter_map(|p| p.split_once('/'))
                .map(|p| p.0)
                .filter(|f| part_and_role(f).is_some())
                .collect();
            let folders: Vec<&str> = folders.into_iter().collect();
            listing.notes.push(format!("the folders {} are its parts", folders.join(", ")));
        }
        Layout::Second => listing.notes.push("the folders of parts within each class are its parts".into()),
        Layout::Whole | Layout::One => {}
    }
    if !beside.is_empty() {
        let said = aside.iter().map(|(name, n)| {
            if is_picture(name) && *n == 1 { (*name).to_owned() } else { format!("{name}/ ({n})") }
        });
        let names = said.take(20).collect();
        listing.left.push(LeftOut { names, ..LeftOut::of(Why::BesideParts, beside) });
    }
    let omniglot = !parted.is_empty() && parted.iter().all(|(_, p)| is_omniglot(p));
    for (mut entry, path) in parted {
        if let Some((folders, _)) = path.rsplit_once('/') {
            let first = folders.split('/').next().unwrap_or(folders);
            let whole = nested || omniglot;
            entry.class = Some(if whole { folders } else { first }.to_owned());
            entry.category = (whole && folders != first).then(|| first.to_owned());
        }
        listing.entries.push(entry);
    }
    listing
}

fn layout(paths: &[&str]) -> Layout {
    let first = |p: &&str| p.split_once('/').and_then(|(folder, _)| part_and_role(folder));
    let second =
        |p: &&str| p.split('/').nth(1).filter(|_| p.matches('/').count() > 1).and_then(part_and_role);
    // Training and something else; or, to judge by alone, two that are.
    let several = |found: &dyn Fn(&&str) -> Option<(Part, Role)>| {
        let mut parts: Vec<(Part, Role)> = Vec::new();
        paths.iter().filter_map(found).for_each(|p| {
            if !parts.contains(&p) {
                parts.push(p);
            }
        });
        parts.len() > 1
    };
    if several(&first) {
        return Layout::First;
    }
    if !paths.is_empty() && paths.iter().all(|p| first(p).is_some()) {
        return Layout::One;
    }
    // Every folder has its parts, and little lies elsewhere.
    let within: BTreeSet<&str> =
        paths.iter().filter(|p| second(p).is_some()).filter_map(|p| p.split('/').next()).collect();
    let folders: BTreeSet<&str> = paths.iter().filter_map(|p| Some(p.split_once('/')?.0)).collect();
    if several(&second) && within == folders {
        return Layout::Second;
    }
    Layout::Whole
}

/// Where some images have a class, those without are set aside: they can be neither trained on nor judged.
pub(in crate::data) fn set_aside_classless(listing: &mut Listing) {
    let without = listing.entries.iter().filter(|e| e.class.is_none()).count();
    if without > 0 && without < listing.entries.len() {
        let (with, without) =
            std::mem::take(&mut listing.entries).into_iter().partition(|e| e.class.is_some());
        listing.entries = with;
        listing.left.push(LeftOut::of(Why::NoClass, without));
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
        let listing = arrange(names.iter().map(member).collect(), nested);
        let left: usize = listing.left.iter().map(|l| l.count).sum();
        assert_eq!(listing.entries.len() + left + listing.ignored, names.len(), "{names:?}");
        listing
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
    fn pictures_beside_class_folders_stay_until_classes_are_needed() {
        let mut l = listing(&["a/1.png", "b/2.png", "stray.png"], false);
        assert_eq!((l.entries.len(), l.left.len()), (3, 0));
        set_aside_classless(&mut l);
        assert_eq!((l.entries.len(), l.left[0].count, l.left[0].why), (2, 1, Why::NoClass));
        assert_eq!(
            l.left[0].sentence(),
            "left out: 1 picture that has no class, beside others that do: stray.png"
        );
    }

    /// Names of folders that sets in the field have for their parts.
    #[test]
    fn parts_have_many_names() {
        let of = |p: Part, names: &[&str]| names.iter().for_each(|n| assert_eq!(part(n), Some(p), "{n}"));
        of(
            Part::Train,
            &["train", "Train", "TRAINING", "training_set", "train-images", "trainset", "Training Data"],
        );
        of(Part::Validation, &["val", "valid", "Validation", "dev", "val_set", "validation-images"]);
        of(
            Part::Test,
            &["test", "Testing", "test_set", "eval", "holdout", "hold-out", "held_out", "evaluation"],
        );
        for class in ["trainer", "testament", "evil", "set", "images", "valley", "device", "good"] {
            assert_eq!(part(class), None, "{class}");
        }
    }

    fn facts(l: &Listing) -> Vec<(String, Option<Part>, Option<&str>)> {
        l.entries.iter().map(|e| (e.name.clone(), e.part, e.class.as_deref())).collect()
    }

    #[test]
    fn what_lies_beside_the_parts_is_no_class_and_is_said() {
        let l = listing(
            &[
                "bottle/ground_truth/broken/000_mask.png",
                "bottle/ground_truth/broken/001_mask.png",
                "bottle/test/broken/000.png",
                "bottle/test/good/000.png",
                "bottle/train/good/000.png",
                "bottle/license.txt",
                "bottle/overview.jpg",
            ],
            false,
        );
        assert_eq!(l.entries.len(), 3);
        assert_eq!(facts(&l)[0], ("bottle/test/broken/000.png".into(), Some(Part::Test), Some("broken")));
        assert_eq!(
            (l.left[0].count, &l.left[0].names[..]),
            (3, &["ground_truth/ (2)".to_owned(), "overview.jpg".into()][..])
        );
        assert!(l.notes[0].contains("test, train"), "{:?}", l.notes);
        // Two that are judged by, and none to train on.
        let l = listing(&["query/a/1.png", "gallery/a/2.png"], false);
        let roles: Vec<_> = l.entries.iter().map(|e| (e.part, e.role)).collect();
        let test = Some(Part::Test);
        assert_eq!(roles, [(test, Role::Gallery), (test, Role::Query)]);
        // One folder of a part, with all in it: its name is no class.
        let l = listing(&["train/a/1.png", "train/b/2.png"], false);
        assert_eq!(facts(&l)[1], ("train/b/2.png".into(), None, Some("b")));
        // A class may be called train, where nothing else is a part.
        assert_eq!(classes(&["bus/1.png", "car/1.png", "train/1.png"], false).len(), 3);
    }

    #[test]
    fn every_class_may_have_parts_of_its_own() {
        let l =
            listing(&["cats/train/1.png", "cats/test/2.png", "dogs/train/3.png", "dogs/test/x/4.png"], false);
        let got: Vec<_> = l.entries.iter().map(|e| (e.part, e.class.as_deref())).collect();
        let (train, test) = (Some(Part::Train), Some(Part::Test));
        assert_eq!(
            got,
            [(test, Some("cats")), (train, Some("cats")), (test, Some("dogs")), (train, Some("dogs"))]
        );
        let l = listing(&["cats/train/1.png", "cats/test/2.png", "dogs/3.png"], false);
        assert!(l.entries.iter().all(|e| e.part.is_none()), "not all classes have them");
    }

    #[test]
    fn the_folder_of_a_run_is_skipped_whole_wherever_it_lies() {
        let member = |n: &&str| Member { name: (*n).to_owned(), place: Place::File((*n).into()) };
        let names = [
            "a/1.png",
            "a/config.toml",
            "a/x/my run/config.toml",
            "a/x/my run/last.safetensors",
            "a/x/my run/health/health.png",
            "a/x/my run.png",
            "config.toml",
            "metrics.jsonl",
        ];
        let (kept, left) = in_runs(names.iter().map(member).collect());
        let kept: Vec<&str> = kept.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(kept, ["a/1.png", "a/config.toml", "a/x/my run.png", "config.toml", "metrics.jsonl"]);
        assert_eq!((left.count, &left.names[..]), (1, &["a/x/my run/".to_owned()][..]));
    }
}
