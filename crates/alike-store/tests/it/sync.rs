//! A collection that follows a folder.

use crate::scene::Scene;
use alike_store::{Change, Collection, Said, SyncOptions};
use serde_json::Map;

fn classes(collection: &Collection) -> Vec<(String, Option<String>)> {
    let items = collection.items(None, None, 100).unwrap();
    items.into_iter().map(|i| (i.path.rsplit('/').next().unwrap().to_owned(), i.class)).collect()
}

#[test]
fn only_what_changed_is_embedded_and_what_moved_is_known_again() {
    let scene = Scene::new();
    for (i, class) in ["cup", "cup", "mug", "mug"].iter().enumerate() {
        scene.picture(&format!("pictures/{class}/{i}.pgm"), [10 * i as u8, 1]);
    }
    let mut collection = scene.create("a.alike");
    let answer = scene.sync(&mut collection);
    assert_eq!((answer.added, answer.images, scene.encoder.count()), (4, 4, 4));
    let again = scene.sync(&mut collection);
    assert_eq!((again.unchanged, again.added, again.removed, scene.encoder.count()), (4, 0, 0, 0));
    // Moved within, to another class; one changed; one gone; one new; one a copy of what is there.
    let moved = collection.find(&scene.place("pictures/cup/1.pgm")).unwrap().id;
    std::fs::rename(scene.path("pictures/cup/1.pgm"), scene.path("pictures/mug/one.pgm")).unwrap();
    scene.picture("pictures/cup/0.pgm", [200, 7]);
    std::fs::remove_file(scene.path("pictures/mug/3.pgm")).unwrap();
    scene.picture("pictures/mug/new.pgm", [77, 78]);
    scene.picture("pictures/mug/copy.pgm", [20, 1]);
    let dry = scene.sync_with(&mut collection, SyncOptions { dry_run: true, ..SyncOptions::default() });
    assert_eq!((dry.added, dry.changed, dry.moved, dry.removed, dry.images), (2, 1, 1, 1, 4));
    let answer = scene.sync(&mut collection);
    assert_eq!((answer.added, answer.changed, answer.moved, answer.removed, answer.copies), (2, 1, 1, 1, 1));
    assert_eq!(scene.encoder.count(), 2, "the copy and what moved were not embedded");
    let found = collection.find(&scene.place("pictures/mug/one.pgm")).unwrap();
    assert_eq!((found.id, found.class.as_deref()), (moved, Some("mug")));
    assert_eq!(collection.vector(moved).unwrap(), [10.0, 1.0, 11.0]);
    let changed = collection.find(&scene.place("pictures/cup/0.pgm")).unwrap().id;
    assert_eq!(collection.vector(changed).unwrap(), [200.0, 7.0, 207.0]);
    assert_eq!(collection.check().unwrap().faults, Vec::<String>::new());
    assert_eq!(scene.sync(&mut collection).unchanged, 5);
}

#[test]
fn names_that_change_places_keep_what_is_known_of_their_content() {
    let scene = Scene::new();
    scene.picture("pictures/a.pgm", [1, 2]);
    scene.picture("pictures/b.pgm", [3, 4]);
    let mut collection = scene.create("a.alike");
    scene.sync(&mut collection);
    std::fs::rename(scene.path("pictures/a.pgm"), scene.path("pictures/c.pgm")).unwrap();
    std::fs::rename(scene.path("pictures/b.pgm"), scene.path("pictures/a.pgm")).unwrap();
    scene.sync(&mut collection);
    for (name, vector) in [("a", [3.0, 4.0, 7.0]), ("c", [1.0, 2.0, 3.0])] {
        let id = collection.find(&scene.place(&format!("pictures/{name}.pgm"))).unwrap().id;
        assert_eq!(collection.vector(id).unwrap(), vector, "{name}");
    }
    assert_eq!(collection.len().unwrap(), 2);
}

#[test]
fn what_was_set_by_hand_stays_and_what_the_folder_says_follows_it() {
    let scene = Scene::new();
    scene.picture("pictures/cup/a.pgm", [1, 2]);
    scene.picture("pictures/cup/b.pgm", [3, 4]);
    scene.picture("pictures/pan/c.pgm", [5, 6]);
    let mut collection = scene.create("a.alike");
    scene.sync(&mut collection);
    let [a, b] =
        ["a", "b"].map(|n| collection.find(&scene.place(&format!("pictures/cup/{n}.pgm"))).unwrap().id);
    let (class, none) = (Change::To("bowl".into()), Map::new());
    assert_eq!(collection.set(&[a], &class, &Change::Keep, &none).unwrap(), 1);
    collection.say(b, a, Said::Different).unwrap();
    std::fs::rename(scene.path("pictures/cup"), scene.path("pictures/mug")).unwrap();
    let answer = scene.sync(&mut collection);
    assert_eq!((answer.moved, answer.added, answer.removed), (2, 0, 0));
    let expected = [("a.pgm", "bowl"), ("b.pgm", "mug"), ("c.pgm", "pan")]
        .map(|(n, c)| (n.to_owned(), Some(c.to_owned())));
    assert_eq!(classes(&collection), expected);
    let pairs = collection.pairs(None).unwrap();
    assert_eq!((pairs.len(), pairs[0].ids, pairs[0].said), (1, [a, b], Said::Different));
    collection.say(a, b, Said::Same).unwrap();
    assert_eq!(collection.pairs(Some(a)).unwrap().iter().map(|p| p.said).collect::<Vec<_>>(), [Said::Same]);
    collection.remove(&[a]).unwrap();
    assert_eq!(collection.pairs(None).unwrap(), []);
}

#[test]
fn what_is_gone_stays_on_request_and_other_folders_are_left_alone() {
    let scene = Scene::new();
    scene.picture("pictures/a.pgm", [1, 2]);
    scene.picture("pictures/b.pgm", [3, 4]);
    scene.picture("elsewhere/c.pgm", [5, 6]);
    scene.picture("pictures2/d.pgm", [7, 8]);
    let mut collection = scene.create("a.alike");
    let embedder = scene.encoder.embedder();
    let others = [scene.path("elsewhere"), scene.path("pictures2")];
    let quiet = &mut alike::data::Quiet;
    alike_store::add(&mut collection, &embedder, &others, None, alike_store::Taken::Keep, quiet).unwrap();
    scene.sync(&mut collection);
    std::fs::remove_file(scene.path("pictures/a.pgm")).unwrap();
    let kept = scene.sync_with(&mut collection, SyncOptions { keep_missing: true, ..SyncOptions::default() });
    assert_eq!((kept.missing, kept.removed, kept.images), (1, 0, 4));
    let answer = scene.sync(&mut collection);
    assert_eq!((answer.missing, answer.removed, answer.images), (0, 1, 3));
    std::fs::write(scene.path("pictures/broken.pgm"), "no picture").unwrap();
    let answer = scene.sync(&mut collection);
    assert_eq!((answer.failed.len(), answer.images), (1, 3));
}

/// A file of the same size and time, as some programs leave it.
#[cfg(unix)]
#[test]
fn a_file_that_only_looks_the_same_is_embedded_again() {
    let scene = Scene::new();
    scene.picture("pictures/a.pgm", [1, 2]);
    let mut collection = scene.create("a.alike");
    scene.sync(&mut collection);
    let path = scene.path("pictures/a.pgm");
    let time = std::fs::metadata(&path).unwrap().modified().unwrap();
    scene.picture("pictures/a.pgm", [9, 9]);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    assert_eq!(scene.sync(&mut collection).changed, 1);
    // Touched only: nothing is embedded.
    scene.encoder.count();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(time).unwrap();
    let answer = scene.sync(&mut collection);
    assert_eq!((answer.unchanged, answer.changed, scene.encoder.count()), (1, 0, 0));
}
