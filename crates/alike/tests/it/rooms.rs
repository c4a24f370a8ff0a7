//! The rooms stand in an order, and a room uses only those before it.

use std::path::Path;

/// In reading order, as on the library's front page; the shared vocabulary first.
const VOCABULARY: [&str; 15] = [
    "images",
    "identity",
    "sample",
    "distance",
    "rng",
    "files",
    "guard",
    "limits",
    "meter",
    "suggest",
    "text",
    "names",
    "npy",
    "own_files",
    "process",
];
const ROOMS: [&str; 14] = [
    "data",
    "model",
    "engine",
    "encoder",
    "gallery",
    "neighbours",
    "projection",
    "mining",
    "loss",
    "train",
    "eval",
    "tasks",
    "tune",
    "report",
];

fn sources(folder: &Path, into: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// Every `crate::ROOM` in a file's code, comments left out.
fn used(text: &str) -> Vec<String> {
    text.lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| line.split("crate::").skip(1).map(str::to_owned).collect::<Vec<_>>())
        .map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect())
        .collect()
}

#[test]
fn no_room_uses_one_that_stands_after_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    sources(&src, &mut files);
    let mut checked = 0;
    for file in files {
        let relative = file.strip_prefix(&src).unwrap();
        let top = relative.components().next().unwrap().as_os_str().to_str().unwrap();
        let own = top.trim_end_matches(".rs");
        if own == "lib" {
            continue;
        }
        let rank = ROOMS.iter().position(|r| *r == own);
        assert!(rank.is_some() || VOCABULARY.contains(&own), "{own} is in no list of this test");
        for other in used(&std::fs::read_to_string(&file).unwrap()) {
            checked += 1;
            let allowed = VOCABULARY.contains(&other.as_str())
                || ROOMS.iter().position(|r| *r == other).is_some_and(|o| rank.is_some_and(|own| o <= own));
            assert!(allowed, "{} uses `{other}`, which stands after `{own}`", relative.display());
        }
    }
    assert!(checked > 50, "only {checked} uses were found: does this test still read them?");
}

#[test]
fn the_front_page_lists_the_rooms_in_their_order() {
    let text = include_str!("../../src/lib.rs");
    let places: Vec<usize> = ROOMS
        .iter()
        .map(|room| text.find(&format!("[`{room}`]")).unwrap_or_else(|| panic!("{room} is not listed")))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    let modules: Vec<usize> =
        ROOMS.iter().map(|room| text.find(&format!("pub mod {room};")).unwrap()).collect();
    assert!(modules.is_sorted(), "{modules:?}");
}
