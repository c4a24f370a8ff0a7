//! The demonstration, without network or files.

use crate::command::Scene;

#[test]
fn the_demo_falls_back_on_drawn_digits_and_says_why() {
    let scene = Scene::new();
    let says = "built-in synthetic digits, because 'mnist'";
    let heard = scene.heard_until("demo --out here --offline", "training on all 10 classes of digits");
    assert!(heard.contains(says), "{heard}");
}

/// On fewer digits than it takes by itself.
#[test]
fn the_demo_trains_judges_and_draws() {
    let scene = Scene::new();
    let ended = scene.alike("demo --out here --data digits:train=3000,test=600 --epochs 1");
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert_eq!(ended.stdout.lines().last(), Some("here/report.html"));
    assert!(ended.stdout.contains("1-NN") && ended.stdout.contains("never seen in training: 0"));
    let page = std::fs::read_to_string(scene.path("here/report.html")).unwrap();
    for section in [
        "concept",
        "loss",
        "architecture",
        "training",
        "spaces",
        "accuracy",
        "unseen",
        "confusion",
        "neighbours",
    ] {
        assert!(page.contains(&format!("<section id=\"{section}\"")), "{section}");
        for ending in ["svg", "png", "csv"] {
            assert!(
                scene.path(&format!("here/report-figures/{section}.{ending}")).is_file(),
                "{section}.{ending}"
            );
        }
    }
    scene.refused("demo --out here", 1, &["exists already", "--force"]);
    assert!(
        page.contains("alike demo -o here --data digits:train=3000,test=600 --epochs 1")
            && page.contains("href=\"report-fast.html\"")
    );
    scene.ok("report here/run --unseen here/run-without -o page.html");
    let figures = |folder: &str| -> Vec<(std::ffi::OsString, Vec<u8>)> {
        let files = std::fs::read_dir(scene.path(folder)).unwrap().map(|f| f.unwrap().path());
        let mut all: Vec<_> =
            files.map(|f| (f.file_name().unwrap().to_owned(), std::fs::read(&f).unwrap())).collect();
        all.sort();
        all
    };
    assert!(figures("here/report-figures") == figures("page-figures"), "the same runs make the same figures");
}
