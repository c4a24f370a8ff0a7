//! Known numbers of real MNIST, where it is at hand.

use alike::data::{DataPaths, Dataset, Quiet, load};
use alike::engine::Engine;
use alike::eval::Judge;
use alike::train::{Settings, Training};
use std::io::Write;
use std::sync::atomic::AtomicBool;

/// MNIST under `$ALIKE_DATA`, or nothing, which is said by the test's name even where output is captured.
pub(crate) fn mnist(test: &str) -> Option<Dataset> {
    let Some(data_dir) = std::env::var_os("ALIKE_DATA").map(std::path::PathBuf::from) else {
        let _ = writeln!(std::io::stderr(), "skipped: {test}: ALIKE_DATA is not set");
        return None;
    };
    let places = DataPaths { data_dir: Some(data_dir), offline: true, ..DataPaths::default() };
    Some(load(&"mnist".into(), &places, &mut Quiet).unwrap())
}

/// Image space: measured with PyTorch and scikit-learn. Feature space: PyTorch's mean of three seeds, within a point.
#[test]
fn the_seeds_recipe_gives_the_seeds_numbers() {
    let Some(data) = mnist("the_seeds_recipe_gives_the_seeds_numbers") else { return };
    let judge = Judge::new(&[1, 5]);
    let image = judge.image_space(&data).unwrap();
    #[track_caller]
    fn check(what: f64, expected: f64, within: f64) {
        assert!((what - expected).abs() <= within, "{what} is not {expected}");
    }
    check(image.class_mean.accuracy, 0.8216, 0.0002);
    check(image.knn[&1].accuracy, 0.9691, 0.0002);

    let mut training = Training::new(Settings::seed_recipe("mnist"), &data).unwrap();
    training.run(&data, &mut [], &AtomicBool::new(false)).unwrap();
    let mut engine = Engine::new(training.network()).unwrap();
    let gallery = engine.embed(training.parameters(), &data.train.images).unwrap();
    let queries = engine.embed(training.parameters(), &data.test.images).unwrap();
    let judged = judge.judge(&data, image, &gallery, &queries, &[]).unwrap();
    check(judged.spaces.feature.class_mean.accuracy, 0.960, 0.01);
    check(judged.spaces.feature.knn[&1].accuracy, 0.969, 0.01);
    check(judged.spaces.feature.knn[&5].accuracy, 0.975, 0.01);
}
