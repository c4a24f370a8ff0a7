//! Pictures added, removed, purged, embedded anew; copies and galleries.

use crate::scene::{Pixels, Scene, bytes_of, put};
use alike::data::Quiet;
use alike::gallery::Gallery;
use alike::images::Features;
use alike_store::{Access, Address, Change, Collection, NewItem, Occasion, Taken, reembed};
use serde_json::{Map, json};

#[test]
fn all_are_added_or_none() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    put(&mut collection, &[("/a", [1.0, 2.0, 3.0])]);
    let new = |place: &str| NewItem { place: place.into(), ..NewItem::default() };
    let why = &mut Occasion::new("add", "");
    let vectors = |last: f32| Features::new(3, vec![0.0, 0.0, 0.0, 1.0, 1.0, last]);
    let twice = collection.add(&[new("/b"), new("/a")], &vectors(1.0), why, Taken::Refuse).unwrap_err();
    assert!(
        twice.to_string().contains("/a is in") && twice.to_string().contains("nothing was added"),
        "{twice}"
    );
    for bad in [f32::NAN, f32::INFINITY] {
        let error = collection.add(&[new("/b"), new("/c")], &vectors(bad), why, Taken::Refuse).unwrap_err();
        assert!(error.to_string().contains("/c holds values that are no finite numbers"), "{error}");
    }
    let short = collection.add(&[new("/b")], &Features::new(2, vec![0.0, 0.0]), why, Taken::Refuse);
    assert!(short.unwrap_err().to_string().contains("vectors of 3 numbers, not of 2"));
    assert_eq!(collection.len().unwrap(), 1);
    let added = collection.add(&[new("/b"), new("/a")], &vectors(9.0), why, Taken::Replace).unwrap();
    assert_eq!((added.added, added.replaced), (1, 1));
    assert_eq!(collection.vector(1).unwrap(), [1.0, 1.0, 9.0]);
    let kept = collection.add(&[new("/a")], &Features::new(3, vec![0.0; 3]), why, Taken::Keep).unwrap();
    assert_eq!((kept.kept, collection.vector(1).unwrap()), (1, vec![1.0, 1.0, 9.0]));
}

#[test]
fn facts_are_set_taken_away_and_asked_for() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    put(&mut collection, &[("/a", [0.0; 3]), ("/b", [0.0; 3])]);
    let facts = |value: serde_json::Value| value.as_object().unwrap().clone();
    let keep = &Change::Keep;
    collection.set(&[1, 2], keep, keep, &facts(json!({"room": "hall", "shelf": 3}))).unwrap();
    collection.set(&[2], keep, &Change::To("g".into()), &facts(json!({"room": null}))).unwrap();
    let ids = |text: &str| collection.ids(Some(&text.parse().unwrap())).unwrap();
    assert_eq!(ids("facts.room = 'hall'"), [1]);
    assert_eq!(ids("facts.shelf > 2.5 and \"x\" = 1".split(" and").next().unwrap()), [1, 2]);
    assert_eq!(ids("group = 'g' and facts.room is null"), [2]);
    assert_eq!(collection.items(None, Some(1), 5).unwrap().len(), 1);
}

#[test]
fn a_purge_leaves_no_trace_and_a_removal_does() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    let secret = [12_345.678f32, -0.000_123_4, 98_765.43];
    let pattern: Vec<u8> = secret.iter().flat_map(|v| v.to_le_bytes()).collect();
    let other: Vec<(String, [f32; 3])> = (0..2000).map(|i| (format!("/{i}"), [i as f32, 1.0, 2.0])).collect();
    let other: Vec<(&str, [f32; 3])> = other.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    put(&mut collection, &other);
    put(&mut collection, &[("/the/face/of/eve.jpg", secret)]);
    let is_there = |collection: &Collection, what: &[u8]| {
        bytes_of(collection.path()).windows(what.len()).any(|w| w == what)
    };
    let eve = collection.find("/the/face/of/eve.jpg").unwrap().id;
    let mut facts = Map::new();
    facts.insert("person".into(), json!("Eve Secretson"));
    collection.set(&[eve], &Change::Keep, &Change::Keep, &facts).unwrap();
    let patterns: [&[u8]; 3] = [&pattern, b"/the/face/of/eve.jpg", b"Eve Secretson"];
    for what in patterns {
        assert!(is_there(&collection, what));
    }
    assert_eq!(collection.remove(&[eve]).unwrap(), 1);
    assert!(is_there(&collection, &pattern), "a removal alone overwrites nothing, or this test sees nothing");
    collection.purge(&[]).unwrap();
    for what in patterns {
        assert!(!is_there(&collection, what));
    }
    assert_eq!((collection.len().unwrap(), collection.check().unwrap().faults.len()), (2000, 0));
}

#[test]
fn a_copy_is_of_one_moment_and_a_collection_of_its_own() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    put(&mut collection, &[("/a", [1.0, 2.0, 3.0])]);
    let to = scene.path("copies/b.alike");
    let answer = collection.backup(&to).unwrap();
    assert_eq!((answer.images, answer.bytes), (1, std::fs::metadata(&to).unwrap().len()));
    put(&mut collection, &[("/b", [1.0, 2.0, 3.0])]);
    let copy = Collection::open(&to, Access::Write).unwrap();
    assert_eq!((copy.len().unwrap(), copy.vector(1).unwrap()), (1, vec![1.0, 2.0, 3.0]));
    assert_ne!(copy.about().uuid, collection.about().uuid);
    assert!(collection.backup(&to).unwrap_err().to_string().contains("exists already"));
}

#[test]
fn compacting_gives_back_room() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    let many: Vec<String> = (0..5000).map(|i| format!("/pictures/{i}.jpg")).collect();
    let many: Vec<(&str, [f32; 3])> = many.iter().map(|n| (n.as_str(), [1.0; 3])).collect();
    put(&mut collection, &many);
    let ids: Vec<i64> = (1..=4900).collect();
    collection.remove(&ids).unwrap();
    let answer = collection.compact().unwrap();
    assert!(answer.after * 4 < answer.before, "{answer:?}");
    assert_eq!((answer.images, collection.check().unwrap().faults.len()), (100, 0));
}

#[test]
fn old_galleries_come_in_and_go_out_as_they_were() {
    let scene = Scene::new();
    for (i, class) in ["cup", "mug", "mug"].iter().enumerate() {
        scene.picture(&format!("pictures/{class}/{i}.pgm"), [i as u8, 9]);
    }
    let mut collection = scene.create("a.alike");
    scene.sync(&mut collection);
    let gallery = collection.gallery(None).unwrap();
    let npy = scene.path("out.npy");
    gallery.save(&npy).unwrap();
    let read = Gallery::read(&npy, "pixels", 3).unwrap();
    let mut other = scene.create("b.alike");
    let why = &mut Occasion::new("import", "out.npy");
    assert_eq!(other.add_gallery(&read, why, Taken::Keep).unwrap().added, 3);
    assert_eq!(other.gallery(None).unwrap(), gallery);
    assert_eq!(other.add_gallery(&read, why, Taken::Keep).unwrap().kept, 3);
    let mugs = other.gallery(Some(&"class = 'mug'".parse().unwrap())).unwrap();
    assert_eq!((mugs.len(), mugs.features.row(0)), (2, [1.0, 9.0, 10.0].as_slice()));
    let strange = Gallery { fingerprint: "another".into(), ..read };
    assert!(
        other.add_gallery(&strange, why, Taken::Keep).unwrap_err().to_string().contains("another encoder")
    );
}

#[test]
fn pictures_are_embedded_anew_and_all_that_was_said_stays() {
    let scene = Scene::new();
    for i in 0..5u8 {
        scene.picture(&format!("pictures/cup/{i}.pgm"), [i, 1]);
    }
    let mut collection = scene.create("a.alike");
    scene.sync(&mut collection);
    collection.set(&[2], &Change::To("bowl".into()), &Change::Keep, &Map::new()).unwrap();
    let better = Pixels::new("better");
    let address = Address { model: "better".into(), ..Address::default() };
    std::fs::remove_file(scene.path("pictures/cup/4.pgm")).unwrap();
    let mut strict = better.embedder();
    strict.on_error = alike::data::OnError::Fail;
    let error = reembed(&mut collection, &strict, address.clone(), &mut Quiet).unwrap_err().to_string();
    assert!(error.contains("4.pgm") && error.contains("as it was"), "{error}");
    assert_eq!((collection.about().fingerprint.as_str(), collection.len().unwrap()), ("pixels", 5));
    let answer = reembed(&mut collection, &better.embedder(), address, &mut Quiet).unwrap();
    assert_eq!((answer.embedded, answer.removed.len(), answer.images), (4, 1, 4));
    assert_eq!((collection.about().fingerprint.as_str(), better.count()), ("better", 4));
    assert_eq!(collection.find("#2").unwrap().class.as_deref(), Some("bowl"));
    assert_eq!(collection.check().unwrap().faults, Vec::<String>::new());
    // Whoever had it open under the old encoder can add nothing of it.
    let error = alike_store::add(
        &mut collection,
        &scene.encoder.embedder(),
        &[scene.path("pictures")],
        None,
        Taken::Keep,
        &mut Quiet,
    );
    assert!(error.unwrap_err().to_string().contains("another encoder"));
}
