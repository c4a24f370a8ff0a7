//! Every figure of every set, as it looks: texts lie inside their panel, off each other, and large enough to be read on a phone.

use super::figure::{Figure, HEAD, WIDTH};
use super::text::SMALL;
use super::{PageFacts, Report, ReportInput, TrainingInput, UnlabelledInput, theme};
use crate::data::{Dataset, DigitCounts, Quiet, Split, digits};
use crate::encoder::TrainedNetwork;
use crate::engine::{Engine, Tier};
use crate::eval::{ConsistencyOptions, Judge, consistency_protocol};
use crate::images::{Images, Shape};
use crate::train::{Settings, Training};
use resvg::usvg::{self, Node};
use std::sync::atomic::AtomicBool;

/// A text where it stands: left, top, right and bottom.
struct Text {
    words: String,
    size: f64,
    at: [f64; 4],
}

fn texts(group: &usvg::Group, out: &mut Vec<Text>) {
    for node in group.children() {
        match node {
            Node::Group(group) => texts(group, out),
            Node::Text(text) => {
                let b = text.abs_bounding_box();
                let words: String = text.chunks().iter().map(usvg::TextChunk::text).collect();
                let sizes =
                    text.chunks().iter().flat_map(|c| c.spans()).map(|s| f64::from(s.font_size().get()));
                let size = sizes.fold(f64::INFINITY, f64::min);
                out.push(Text { words, size, at: [b.left(), b.top(), b.right(), b.bottom()].map(f64::from) });
            }
            _ => {}
        }
    }
}

/// What is wrong with the texts of a figure.
fn faults(figure: &Figure) -> Vec<String> {
    let mut faults = Vec::new();
    let mut has_numbers = false;
    for panel in &figure.panels {
        let height = panel.height + HEAD;
        // Room around the panel, so that what leaves it is measured and not cut.
        let svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\"><style>{}</style>{}</svg>",
            theme::for_file(),
            panel.content().into_string()
        );
        let tree = usvg::Tree::from_str(&svg, &super::figure::OPTIONS).unwrap();
        let mut all = Vec::new();
        texts(tree.root(), &mut all);
        has_numbers |= all.iter().any(|t| t.words.bytes().all(|b| b.is_ascii_digit()));
        for (i, t) in all.iter().enumerate() {
            let place = format!("{}, '{}': '{}'", figure.name, panel.title, t.words);
            if t.size < SMALL {
                faults.push(format!("{place} has {} units", t.size));
            }
            let [left, top, right, bottom] = t.at;
            if left < -0.6 || right > WIDTH + 0.6 || top < -2.0 || bottom > height + 2.0 {
                faults.push(format!("{place} leaves the panel: {:?} of {WIDTH} x {height}", t.at));
            }
            for other in &all[..i] {
                // Boxes of lines one below the other may touch; letters do not fill them.
                let across = right.min(other.at[2]) - left.max(other.at[0]);
                let down = bottom.min(other.at[3]) - top.max(other.at[1]);
                if across > 0.5 && down > 3.2 {
                    faults.push(format!("{place} lies on '{}' by {across:.1} x {down:.1}", other.words));
                }
            }
        }
        if panel.says.is_empty() {
            faults.push(format!("{}, '{}' says nothing", figure.name, panel.title));
        }
    }
    if figure.name == "confusion" && figure.caption.contains("numbers are") != has_numbers {
        faults.push(format!(
            "{}: numbers {has_numbers}, but the caption says: {}",
            figure.name, figure.caption
        ));
    }
    // What wraps on a phone is nowhere beside, and what is dark in light is light in dark.
    for word in ["left", "right", "below", "above", "darker", "lighter", "darkest"] {
        let sides =
            [format!("on the {word}"), format!("{word} in "), format!("{word}, "), format!("at the {word}")];
        let rows = figure.caption.to_lowercase();
        if sides.iter().any(|s| rows.contains(s.as_str()))
            || matches!(word, "darker" | "lighter" | "darkest") && rows.contains(word)
        {
            faults.push(format!("{}: the caption says '{word}': {}", figure.name, figure.caption));
        }
    }
    faults
}

fn judged(data: &Dataset, settings: Settings, ks: &[usize]) -> Report {
    let mut training = Training::new(settings, data).unwrap();
    let mut metrics = Vec::new();
    training.run(data, &mut [], &AtomicBool::new(false)).unwrap();
    for step in 1..=400u64 {
        let v = 1.0 / step as f64;
        metrics.push(crate::train::Metric::Step {
            step: step * 25,
            epoch: 1,
            loss: v,
            active: v,
            d_ap: 0.1 + v,
            d_an: 0.11 + v,
            images_per_second: 1.0,
        });
    }
    let mut engine = Engine::with_tier(training.network(), Tier::found());
    let gallery = engine.embed(training.parameters(), &data.gallery().0.images).unwrap();
    let queries = engine.embed(training.parameters(), &data.test.images).unwrap();
    let judge = Judge::new(ks);
    let image = judge.image_space(data).unwrap();
    let judgement = judge.judge(data, image, &gallery, &queries, &training.settings().exclude_class).unwrap();
    let (settings, checkpoint) = (training.settings(), &training.checkpoint());
    let of = Some(TrainingInput { settings, checkpoint, metrics: &metrics });
    let (gallery, queries, judgement) = (&gallery, &queries, &judgement);
    let input = ReportInput { data, training: of, gallery, queries, judgement, retrieval: None };
    let facts = PageFacts { date: Some("2026-01-31".into()), ..PageFacts::default() };
    Report::new(&input, None, &facts, &mut Quiet).unwrap()
}

/// Images of classes that differ by their mean colour and by noise.
fn coloured(shape: Shape, classes: &[&str], each: usize, test: usize) -> Dataset {
    let split = |each: usize, seed: usize| {
        let n = classes.len() * each;
        let value = |i: usize| {
            let (image, at) = (i / shape.len(), i % shape.len());
            let class = image % classes.len();
            let noise = (i * 2_654_435_761 + seed * 97) >> 7 & 63;
            (((class * 83 + at % shape.c * 61) % 160) + noise) as u8
        };
        let images = Images::new(shape, (0..n * shape.len()).map(value).collect());
        Split::new(images, (0..n).map(|i| (i % classes.len()) as u32).collect())
    };
    Dataset::new(
        "photos",
        "",
        classes.iter().map(|c| (*c).to_owned()).collect(),
        split(each, 1),
        split(test, 2),
    )
}

fn settings(network: &str) -> Settings {
    Settings { network: network.into(), epochs: 1, batch_size: 16, ..Settings::seed_recipe("x") }
}

/// What a page shows must be there: nothing of it may be lost by shortening.
fn assert_sound(set: &str, report: &Report, figures: usize) {
    let all: Vec<String> = report.figures().iter().flat_map(faults).collect();
    assert!(all.is_empty(), "{set}: {} faults\n{}", all.len(), all.join("\n"));
    assert!(report.figures().len() >= figures, "{set}: {} figures", report.figures().len());
}

/// The share of class names that found no place.
fn left_out(report: &Report) -> f64 {
    let caption = &report.figures().iter().find(|f| f.name == "spaces").unwrap().caption;
    let Some(at) = caption.find(" found no free place") else { return 0.0 };
    let words: Vec<&str> = caption[..at].split(' ').collect();
    let [left, of] = [words[words.len() - 3], words[words.len() - 1]].map(|w| w.parse::<f64>().unwrap());
    left / of
}

#[test]
fn figures_of_digits_are_sound() {
    let data = digits(DigitCounts { train: 300, test: 400 }, 0);
    let report = judged(
        &data,
        Settings { exclude_class: vec!["0".into()], ..settings("conv(8) maxpool(2) relu conv(8) gap l2") },
        &[1, 5],
    );
    assert_sound("digits", &report, 14);
    assert!(left_out(&report) <= 0.3, "{}", left_out(&report));
}

#[test]
fn figures_of_photos_with_long_names_are_sound() {
    let names = [
        "Fruit/Long-sleeved shirts and thin pullovers",
        "Fruit/Button-down shirts and blouses",
        "Fruit/Coats, jackets and other outerwear",
        "Vegetables/Shoes, boots and sandals of all kinds",
        "Vegetables/Donaudampfschifffahrtsgesellschaftskapitänsmütze",
        "Vegetables/手套和围巾",
        "Vegetables/Hats, caps and other headwear",
        "Vegetables/x",
    ];
    let data = coloured(Shape { h: 20, w: 14, c: 3 }, &names, 8, 2);
    let report = judged(
        &data,
        settings(
            "norm conv(8) relu maxpool(2) residual(norm relu conv(8) norm relu conv(8)) norm relu conv(4) gap l2",
        ),
        &[1],
    );
    assert_sound("photos", &report, 10);
    assert!(left_out(&report) <= 0.3, "{}", left_out(&report));
    let spaces = report.figures().iter().find(|f| f.name == "spaces").unwrap().svg();
    assert!(
        spaces.contains("<title>Fruit/Coats, jackets and other outerwear</title>"),
        "the whole name is a title"
    );
    let shown = spaces.replace("<title>Fruit/", "");
    assert!(!shown.contains(">Fruit/"), "nested names are their last part");
}

#[test]
fn figures_of_people_never_trained_on_are_sound() {
    let names: Vec<String> = (1..=40).map(|i| format!("s{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let all = coloured(Shape { h: 23, w: 18, c: 1 }, &names, 8, 1);
    let rows = |trained: bool| -> Vec<usize> {
        (0..all.train.len()).filter(|i| (all.train.labels[*i] < 20) == trained).collect()
    };
    let (train, test) = (all.train.select(&rows(true)), all.train.select(&rows(false)));
    let data = Dataset { train, test, ..all };
    assert!(data.is_open_set());
    let report = judged(&data, settings("conv(8) relu avgpool(6) linear(16) l2"), &[1, 5]);
    assert_sound("people", &report, 10);
    assert!(left_out(&report) <= 0.3, "{}", left_out(&report));
}

#[test]
fn figures_of_images_without_classes_are_sound() {
    let mut data = coloured(Shape { h: 16, w: 16, c: 3 }, &["no class"], 40, 0);
    data.labelled = false;
    data.train.names =
        (0..40).map(|i| format!("photos/holiday 2026/IMG_{i}_a rather long name.jpg")).collect();
    // A near copy: a shade lighter.
    let mut bytes = Vec::new();
    for i in 0..40 {
        let image = data.train.images.image(if i == 7 { 3 } else { i }, &mut Vec::new()).unwrap().to_vec();
        bytes.extend(image.iter().map(|v| v.saturating_add(u8::from(i == 7))));
    }
    data.train.images = Images::new(Shape { h: 16, w: 16, c: 3 }, bytes);
    let network = crate::model::Network::new("conv(8) relu gap l2".parse().unwrap(), data.shape()).unwrap();
    let parameters = crate::model::initial(&network, 1);
    let encoder = TrainedNetwork::new(crate::model::Checkpoint::new(network, parameters)).unwrap();
    let features = crate::encoder::Encoder::embed(&encoder, &data.train.images).unwrap();
    let consistency = consistency_protocol(&encoder, &data, &ConsistencyOptions::default()).unwrap();
    let input =
        UnlabelledInput { data: &data, training: None, features: &features, consistency: &consistency };
    let report = Report::without_classes(&input, &PageFacts::default(), &mut Quiet).unwrap();
    assert_sound("without classes", &report, 5);
    let names: Vec<&str> = report.figures().iter().map(|f| f.name).collect();
    assert_eq!(names, ["consistency", "map", "clusters", "neighbours", "copies"]);
    let copies = report.figures().iter().find(|f| f.name == "copies").unwrap();
    assert!(
        copies.numbers.csv().lines().any(|l| l.contains("IMG_3_") && l.contains("IMG_7_")),
        "{}",
        copies.numbers.csv()
    );
}

#[test]
fn faults_are_seen() {
    let panel =
        |body: maud::Markup| super::figure::Panel { title: "t".into(), says: "s".into(), height: 60.0, body };
    let figure = |caption: &str, body| Figure {
        name: "made",
        title: String::new(),
        caption: caption.into(),
        numbers: super::Numbers::default(),
        panels: vec![panel(body)],
        columns: 1,
    };
    let text = |x: f64, y: f64, words: &str| maud::html! { text class="s" x=(x) y=(y) { (words) } };
    assert!(faults(&figure("", text(5.0, 20.0, "sound"))).is_empty());
    let two = maud::html! { (text(5.0, 20.0, "one")) (text(10.0, 23.0, "two")) };
    assert_eq!(faults(&figure("", two)).len(), 1);
    assert_eq!(faults(&figure("", text(330.0, 20.0, "clipped"))).len(), 1);
    let small = maud::html! { text style="font-size:9px" x="5" y="20" { "small" } };
    assert_eq!(faults(&figure("", small)).len(), 1);
    assert_eq!(faults(&figure("Left, the images; the darker, the more.", text(5.0, 20.0, "x"))).len(), 2);
}
