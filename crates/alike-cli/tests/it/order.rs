//! The order of the images must not matter: a table with its rows in any order gives exactly the same numbers, whoever asks.

use crate::command::Scene;

const PEOPLE: usize = 12;
/// More test images than verification takes all pairs of.
const TRAIN: usize = 22;
const TEST: usize = 170;
const SIDE: usize = 12;

/// A number that follows from others, for noise.
fn noise(of: [usize; 3]) -> u32 {
    of.into_iter().fold(2_166_136_261u32, |h, v| (h ^ v as u32).wrapping_mul(16_777_619).rotate_left(13))
}

/// Images of a class: a bar at a place of its own, in much noise.
fn pgm(class: usize, i: usize) -> Vec<u8> {
    let mut bytes = format!("P5 {SIDE} {SIDE} 255\n").into_bytes();
    bytes.extend((0..SIDE * SIDE).map(|at| {
        let bar = if at / SIDE == class % SIDE { 60 } else { 0 };
        bar + (noise([class, i, at]) >> 8) as u8 % 190
    }));
    bytes
}

/// A row an image, classes in turn.
fn rows(scene: &Scene) -> Vec<String> {
    let mut rows = Vec::new();
    for i in 0..TRAIN + TEST {
        for class in 0..PEOPLE {
            let name = format!("pictures/{:04}.pgm", i * PEOPLE + class);
            scene.write(&name, &pgm(class, i));
            let part = if i < TRAIN { "train" } else { "test" };
            rows.push(format!("{name},person {class},{part},session {}", i % 5));
        }
    }
    rows
}

fn table(scene: &Scene, rows: &[String]) {
    let text = format!("path,label,split,group\n{}\n", rows.join("\n"));
    scene.write("table.csv", text.as_bytes());
}

/// What every verb says, and the pages.
fn everything(scene: &Scene) -> Vec<(String, String)> {
    let asked = "pictures/0003.pgm pictures/2000.pgm pictures/2299.pgm";
    scene.ok("train --data table.csv --split given --start whitened --out run --force -q");
    scene.ok("embed run table.csv -o all.npy --force -q");
    let mut said = Vec::new();
    for verb in [
        "eval run --json".to_owned(),
        "eval run --json --leave-group".to_owned(),
        "eval few-shot run --episodes 50 --json".to_owned(),
        "eval anomaly run --json".to_owned(),
        format!("search run {asked} --json"),
        format!("classify run {asked} --json"),
        format!("classify run {asked} --gallery table.csv --json"),
        format!("classify run {asked} --gallery all.npy --json"),
        "verify run pictures/0003.pgm pictures/0015.pgm --json".to_owned(),
        "verify run pictures/0003.pgm pictures/0015.pgm --gallery all.npy --far 0.01 --json".to_owned(),
        format!("anomaly run {asked} --json"),
        format!("anomaly run {asked} --gallery table.csv --method mahalanobis --json"),
        format!("anomaly run {asked} --gallery all.npy --method lof --json"),
        "cluster run all.npy --method density --json".to_owned(),
        "health run --json".to_owned(),
    ] {
        said.push((verb.clone(), scene.ok(&format!("{verb} -q"))));
    }
    // A page links those beside it: none is there yet.
    for old in ["page.html", "map.html"] {
        let _ = std::fs::remove_file(scene.path(old));
    }
    for (verb, file) in [
        ("report run -o page.html --force -q", "page.html"),
        ("map run -o map.html --method pca,umap --max-images 300 --force -q", "map.html"),
        ("eval verification run -o curves.svg --json --force -q", "curves.svg"),
        ("cluster run -k 9 -o clusters.svg --json --force -q", "clusters.svg"),
    ] {
        let printed = scene.ok(verb);
        said.push((verb.to_owned(), printed + &std::fs::read_to_string(scene.path(file)).unwrap()));
    }
    said
}

#[test]
fn a_table_in_any_order_gives_the_same_numbers_and_figures() {
    let scene = Scene::new();
    let mut rows = rows(&scene);
    table(&scene, &rows);
    let in_turn = everything(&scene);
    rows.sort_by_key(|row| {
        noise([row.bytes().map(usize::from).sum(), row.len(), usize::from(row.as_bytes()[12])])
    });
    table(&scene, &rows);
    let mixed = everything(&scene);
    for ((verb, first), (_, other)) in in_turn.iter().zip(&mixed) {
        if first != other {
            let at = first.bytes().zip(other.bytes()).position(|(a, b)| a != b).unwrap_or(0);
            let around = |t: &str| {
                String::from_utf8_lossy(&t.as_bytes()[at.saturating_sub(200)..(at + 100).min(t.len())])
                    .into_owned()
            };
            panic!("{verb}: the order of the rows changes\n{}\nto\n{}", around(first), around(other));
        }
    }
}
