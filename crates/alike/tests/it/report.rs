//! The page, from a run that takes a second.

use alike::data::{Dataset, DigitCounts, Quiet, Split, digits};
use alike::engine::Engine;
use alike::eval::Judge;
use alike::images::{Images, Shape};
use alike::report::{PageFacts, Report, ReportInput, TrainingInput, contact_sheet};
use alike::train::{Settings, Training};
use alike_kernels::Tier;
use std::sync::atomic::AtomicBool;

fn page(data: &Dataset, settings: Settings, ks: &[usize]) -> Report {
    let mut training = Training::new(settings, data).unwrap();
    training.run(data, &mut [], &AtomicBool::new(false)).unwrap();
    let tier = Tier::from_env().unwrap();
    let mut engine = Engine::with_tier(training.network(), tier);
    let gallery = engine.embed(training.parameters(), &data.train.images).unwrap();
    let queries = engine.embed(training.parameters(), &data.test.images).unwrap();
    let judge = Judge::new(ks);
    let image = judge.image_space(data).unwrap();
    let excluded = &training.settings().exclude_class;
    let judgement = judge.judge(data, image, &gallery, &queries, excluded).unwrap();
    let (settings, checkpoint) = (training.settings(), &training.checkpoint());
    let (gallery, queries, judgement, metrics) = (&gallery, &queries, &judgement, &[][..]);
    let training = Some(TrainingInput { settings, checkpoint, metrics });
    let input = ReportInput { data, training, gallery, queries, judgement, retrieval: None };
    Report::new(&input, None, &PageFacts::default(), &mut Quiet).unwrap()
}

#[test]
fn a_page_needs_nothing_but_itself_and_every_figure_can_be_drawn() {
    let data = digits(DigitCounts { train: 200, test: 50 }, 0);
    let settings = Settings {
        epochs: 1,
        batch_size: 16,
        exclude_class: vec!["0".into()],
        ..Settings::seed_recipe("digits")
    };
    let report = page(&data, settings, &[1, 5]);
    let names: Vec<&str> = report.figures().iter().map(|f| f.name).collect();
    assert_eq!(
        names,
        [
            "concept",
            "loss",
            "architecture",
            "spaces",
            "accuracy",
            "unseen",
            "confusion",
            "neighbours",
            "why",
            "verification",
            "anomalies",
            "clusters",
            "doubts"
        ]
    );
    for figure in report.figures() {
        let png = figure.png(1.0).unwrap();
        let picture = image::load_from_memory(&png).unwrap();
        assert!(picture.width() > 300 && picture.height() > 100, "{}", figure.name);
        assert!(report.html().contains(&figure.title.replace('\'', "&#39;")) || figure.title.contains('\''));
    }
    for foreign in ["src=\"http", "href=\"http", "url(http", "@import", "<link"] {
        assert!(!report.html().contains(foreign), "the page fetches something: {foreign}");
    }
    assert!(!report.html().contains("NaN"));
}

/// Names that are markup, colour, images that are not square, one test image a class: nothing may break the page.
#[test]
fn odd_sets_make_whole_pages_too() {
    let shape = Shape { h: 9, w: 14, c: 3 };
    let split = |n: usize| {
        let images = Images::new(shape, (0..n * shape.len()).map(|i| (i * i % 251) as u8).collect());
        Split::new(images, (0..n).map(|i| (i % 3) as u32).collect())
    };
    let classes = vec!["<i>".into(), "a & b".into(), "a class with a very long name indeed".into()];
    let data = Dataset::new("</script><b>", "", classes, split(30), split(3));
    let network = "conv(4) maxpool(2) conv(1) gap l2".into();
    let settings = Settings { network, epochs: 1, batch_size: 8, ..Settings::seed_recipe("x") };
    let report = page(&data, settings, &[1]);
    assert!(!report.html().contains("<i>") && !report.html().contains("</script><b>"));
    assert_eq!(report.html().matches("</script>").count(), 2);
    // With one test image a class there is no triplet of test images to show.
    assert!(report.figures().iter().all(|f| f.name != "concept"));
    for figure in report.figures() {
        figure.png(1.0).unwrap();
    }
    assert!(contact_sheet(&data).unwrap().svg().contains("a class with"));
}
