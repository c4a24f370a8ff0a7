//! Pictures that this build cannot read are named by every verb that lists, with the command that converts them.

use crate::command::Scene;
use crate::sources::class_folders;
use serde_json::Value;

const HEIC: &[u8] = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic and more";
const SAID: &str = "20 HEIC pictures are left out: this build cannot read them; convert them with ImageMagick: \
                    mogrify -format jpg *.HEIC, or one at a time: heif-convert FILE.HEIC FILE.jpg";

/// Pictures that can be read beside some that cannot, as a phone leaves them.
fn phone() -> Scene {
    let scene = Scene::new();
    class_folders(&scene);
    for i in 0..20 {
        scene.write(&format!("pictures/ant/IMG_{i}.HEIC"), HEIC);
    }
    scene.write("pictures/bee/a.avif", b"\0\0\0\x18ftypavif\0\0\0\0mif1avif");
    scene
}

#[test]
fn every_verb_that_lists_says_what_it_cannot_read() {
    let scene = phone();
    let j: Value = serde_json::from_str(&scene.ok("data stats pictures --json")).unwrap();
    assert_eq!((&j["images"], &j["ignored"]), (&36.into(), &1.into()));
    assert_eq!((&j["unread"]["HEIC"], &j["unread"]["AVIF"]), (&20.into(), &1.into()));
    let said = scene.ok("data stats pictures");
    assert!(said.contains("57 pictures found: 36 images of the set") && said.contains(SAID), "{said}");
    for verb in [
        "train --data pictures --out run --start whitened",
        "embed run pictures -o all.npy",
        "search run --gallery pictures pictures/cat",
        "data show pictures -o sheet.png",
    ] {
        let ended = scene.alike(verb);
        assert!(ended.code == 0 && ended.stderr.contains(SAID), "{verb}: {ended:?}");
        assert!(ended.stderr.contains("1 AVIF picture is left out"), "{verb}: {}", ended.stderr);
    }
}

#[test]
fn a_folder_of_them_alone_and_a_wrong_ending_are_refused_with_the_reason() {
    let scene = Scene::new();
    scene.train("");
    scene.write("phone/IMG_1.HEIC", HEIC);
    scene.write("phone/photo.CR2", b"II*\0\x10\0\0\0CR\x02\0");
    for verb in ["train --data phone --out x", "embed run phone -o x.npy", "data stats phone"] {
        scene.refused(
            verb,
            1,
            &["no pictures", "1 HEIC picture", "1 camera raw picture", "mogrify -format jpg *.CR2"],
        );
    }
    scene.write("wrong/a.jpg", HEIC);
    scene.refused("embed run wrong -o x.npy", 1, &["HEIC picture", "heif-convert"]);
    scene.refused("embed run phone/IMG_1.HEIC -o x.npy", 1, &["HEIC picture", "heif-convert"]);
}
