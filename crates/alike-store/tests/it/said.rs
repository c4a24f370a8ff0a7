//! What people said of pictures, and what their files say: obeyed, trained on, kept.

use crate::scene::{Scene, put};
use alike::data::{CataloguedPicture, Catalogues, list_catalogue};
use alike_store::{Access, Change, Collection, Collections, Said};
use serde_json::Map;

#[test]
fn classes_follow_from_what_was_said() {
    let scene = Scene::new();
    let mut collection = scene.create("a.alike");
    let names: Vec<String> = (0..8).map(|i| format!("/p/{i}")).collect();
    put(&mut collection, &names.iter().map(|n| (n.as_str(), [0.0; 3])).collect::<Vec<_>>());
    let set = |collection: &mut Collection, ids: &[i64], class: &str| {
        collection.set(ids, &Change::To(class.into()), &Change::Keep, &Map::new()).unwrap();
    };
    set(&mut collection, &[1], "by hand");
    collection.say(1, 2, Said::Same).unwrap();
    collection.say(2, 3, Said::Same).unwrap();
    // Neither has a class: they have one of their own.
    collection.say(4, 5, Said::Same).unwrap();
    // Of two of a class that differ, the one stays whose class was set by hand; here both were, and the later goes.
    set(&mut collection, &[6, 7], "cup");
    collection.say(6, 7, Said::Different).unwrap();
    collection.say(7, 8, Said::Different).unwrap();
    let catalogue = collection.catalogue().unwrap();
    let told: Vec<(&str, Option<&str>)> =
        catalogue.pictures.iter().map(|p| (p.place.as_str(), p.class.as_deref())).collect();
    let by_hand = Some("by hand");
    assert_eq!(
        told,
        [
            ("/p/0", by_hand),
            ("/p/1", by_hand),
            ("/p/2", by_hand),
            ("/p/3", Some("#4")),
            ("/p/4", Some("#4")),
            ("/p/5", Some("cup")),
            ("/p/7", None)
        ]
    );
    assert_eq!(catalogue.notes.len(), 1);
    assert!(catalogue.notes[0].starts_with("1 pictures are left out"), "{:?}", catalogue.notes);
    let corrections = collection.corrections().unwrap();
    assert_eq!((corrections.same.len(), corrections.different.len(), corrections.classes.len()), (3, 2, 3));
    collection.say(6, 7, Said::Same).unwrap();
    assert!(collection.catalogue().unwrap().notes.is_empty(), "what was said last counts");
}

#[test]
fn a_collection_is_data_wherever_it_lies() {
    let scene = Scene::new();
    for i in 0..4u8 {
        scene.picture(&format!("pictures/c{}/{i}.pgm", i % 2), [i, 1]);
    }
    let mut collection = scene.create("a.alike");
    scene.sync(&mut collection);
    let path = scene.path("a.alike");
    assert_eq!(Collections.find(&path), Some(path.clone()));
    assert_eq!(Collections.find(&scene.path("pictures")), None);
    let catalogue = Collections.read(&path).unwrap();
    let listing = list_catalogue(&path, catalogue.clone()).unwrap();
    assert_eq!((listing.len(), listing.notes.len()), (4, 0));
    let mut one_more = catalogue.clone();
    one_more
        .pictures
        .push(CataloguedPicture { place: "/nowhere.png".into(), ..CataloguedPicture::default() });
    let notes = list_catalogue(&path, one_more).unwrap().notes;
    assert!(notes[0].starts_with("1 pictures of"), "{notes:?}");
    let keys = || collection.gallery(None).unwrap().identities.keys().to_vec();
    let before = keys();
    std::fs::rename(scene.path("pictures"), scene.path("elsewhere")).unwrap();
    let gone = list_catalogue(&path, catalogue).unwrap_err().to_string();
    assert!(gone.contains("none of its pictures is where it was"), "{gone}");
    // The folder has another name: its pictures are known again, and what is drawn by keys is what it was.
    let mut moved = Collection::open(&path, Access::Write).unwrap();
    let folders = [scene.path("elsewhere")];
    let options = alike_store::SyncOptions::default();
    let answer =
        alike_store::sync(&mut moved, &scene.encoder.embedder(), &folders, options, &mut alike::data::Quiet)
            .unwrap();
    assert_eq!((answer.moved, answer.added, answer.images), (4, 0, 4), "{answer:?}");
    assert_eq!(moved.gallery(None).unwrap().identities.keys(), before);
}

/// A JPEG with an EXIF segment after its first marker, written by the standard (CIPA DC-008): little-endian, an IFD with maker and model, and
/// one with the time of the picture.
fn with_exif(jpeg: &[u8]) -> Vec<u8> {
    let mut tiff = b"II\x2a\0\x08\0\0\0".to_vec();
    let entry = |tag: u16, kind: u16, count: u32, value: u32| {
        [&tag.to_le_bytes()[..], &kind.to_le_bytes(), &count.to_le_bytes(), &value.to_le_bytes()].concat()
    };
    // Texts lie behind the two directories: 8 + (2 + 3 * 12 + 4) = 50, + (2 + 12 + 4) = 68.
    let (make, model, taken) = (b"Acme\0\0", b"Acme One\0\0", b"2024:05:01 12:30:59\0");
    let at = |before: usize| 68 + before as u32;
    tiff.extend(3u16.to_le_bytes());
    tiff.extend(entry(0x010f, 2, make.len() as u32, at(0)));
    tiff.extend(entry(0x0110, 2, model.len() as u32, at(make.len())));
    tiff.extend(entry(0x8769, 4, 1, 50));
    tiff.extend(0u32.to_le_bytes());
    tiff.extend(1u16.to_le_bytes());
    tiff.extend(entry(0x9003, 2, taken.len() as u32, at(make.len() + model.len())));
    tiff.extend(0u32.to_le_bytes());
    tiff.extend([&make[..], model, taken].concat());
    let length = (2 + 6 + tiff.len()) as u16;
    [&jpeg[..2], &[0xff, 0xe1], &length.to_be_bytes(), b"Exif\0\0", &tiff, &jpeg[2..]].concat()
}

#[test]
fn date_and_camera_become_facts_and_a_small_picture_is_kept() {
    let scene = Scene::new();
    let mut jpeg = Vec::new();
    let picture = image::RgbImage::from_fn(64, 32, |x, y| image::Rgb([x as u8 * 3, y as u8 * 7, 90]));
    image::codecs::jpeg::JpegEncoder::new(&mut jpeg).encode_image(&picture).unwrap();
    std::fs::create_dir_all(scene.path("pictures")).unwrap();
    std::fs::write(scene.path("pictures/taken.jpg"), with_exif(&jpeg)).unwrap();
    std::fs::write(scene.path("pictures/plain.jpg"), &jpeg).unwrap();
    let about = alike_store::About {
        thumbnails: 16,
        ..alike_store::About::new(
            alike::encoder::Encoder::facts(&scene.encoder),
            alike_store::Address::default(),
        )
    };
    let mut collection = Collection::create(&scene.path("a.alike"), about).unwrap();
    let by = alike_store::Embedder {
        preparation: "size=1x2,channels=1,resize=squash".parse().unwrap(),
        ..scene.encoder.embedder()
    };
    let all = [scene.path("pictures")];
    let options = alike_store::SyncOptions::default();
    let answer = alike_store::sync(&mut collection, &by, &all, options, &mut alike::data::Quiet).unwrap();
    assert_eq!((answer.added, answer.failed.len()), (2, 0), "{answer:?}");
    let facts = |name: &str| serde_json::Value::from(collection.find(&scene.place(name)).unwrap().facts);
    let expected = serde_json::json!({"taken": "2024-05-01T12:30:59", "camera": "Acme One"});
    assert_eq!(facts("pictures/taken.jpg"), expected);
    assert_eq!(facts("pictures/plain.jpg"), serde_json::json!({}));
    let taken = "facts.taken > 2024-04-30 and facts.taken < 2024-05-02".parse().unwrap();
    assert_eq!(collection.ids(Some(&taken)).unwrap().len(), 1);
    let id = collection.find(&scene.place("pictures/plain.jpg")).unwrap().id;
    let small = image::load_from_memory(&collection.thumbnail(id).unwrap().unwrap()).unwrap();
    assert_eq!((small.width(), small.height()), (16, 8));
    assert_eq!(Collection::open(&scene.path("a.alike"), Access::Read).unwrap().about().thumbnails, 16);
}
