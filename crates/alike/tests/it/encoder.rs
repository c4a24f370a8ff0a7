//! Encoders of any kind do what tasks ask of them.

use alike::data::{DataPaths, Preparation, Quiet};
use alike::encoder::{Encoder, EncoderError, EncoderFacts, Ensemble, Mirrored, TrainedNetwork};
use alike::eval::{AccuracyOptions, accuracy_protocol};
use alike::images::{Features, Images, Shape};
use alike::model::{Checkpoint, Network, initial};
use alike::report::{PageFacts, Report, ReportInput};
use alike::tasks::{ClassifyOptions, ClusterMethod, Model, SearchOptions, classify, cluster, search};
use std::path::PathBuf;

/// How bright the left and the right half of an image are.
struct Halves(EncoderFacts);

impl Halves {
    fn new() -> Halves {
        let preparation = Preparation::exact(Shape { h: 8, w: 8, c: 1 });
        let fingerprint = "halves".to_owned();
        Halves(EncoderFacts { preparation, dimension: 2, unit_length: false, fingerprint })
    }
}

impl Encoder for Halves {
    fn facts(&self) -> &EncoderFacts {
        &self.0
    }

    fn embed(&self, images: &Images) -> Result<Features, EncoderError> {
        let mut buffer = Vec::new();
        let half = |row: &[u8], from: usize| -> f32 { row[from..][..4].iter().map(|v| f32::from(*v)).sum() };
        let embed = |i| {
            let image = images.image(i, &mut buffer).unwrap();
            [0, 4].map(|from| image.chunks(8).map(|row| half(row, from)).sum::<f32>() / 8160.0)
        };
        Ok(Features::new(2, (0..images.len()).flat_map(embed).collect()))
    }
}

/// Twelve pictures that are bright on the left, twelve on the right.
fn pictures() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (class, bright) in [("left", 0..4), ("right", 4..8)] {
        std::fs::create_dir(folder.path().join(class)).unwrap();
        for i in 0..12u8 {
            let pixel = |x: u32, y: u32| {
                let shade = if bright.contains(&x) { 200 } else { 20 };
                image::Luma([shade + i * 2 + (y % 2) as u8])
            };
            let path = folder.path().join(format!("{class}/{i:02}.png"));
            image::GrayImage::from_fn(8, 8, pixel).save(path).unwrap();
        }
    }
    let path = folder.path().to_owned();
    (folder, path)
}

#[test]
fn an_encoder_of_twenty_lines_searches_classifies_and_clusters() {
    let (_folder, path) = pictures();
    let model = Model::of(Box::new(Halves::new()), DataPaths::default()).unwrap();
    let known = model.known(std::slice::from_ref(&path), &mut Quiet, |_| ()).unwrap();
    let asked = model.pictures(&[path.join("left/03.png"), path.join("right/07.png")], &mut Quiet).unwrap();
    let found = search(&model, &asked, &known, SearchOptions { k: 3, leave_group: false }).unwrap();
    for (found, class) in found.queries.iter().zip(["left", "right"]) {
        assert_eq!(found.neighbours.len(), 3);
        assert!(found.neighbours.iter().all(|n| n.class.as_deref() == Some(class) && n.path != found.query));
    }
    let options = ClassifyOptions {
        rule: alike::eval::Rule::Knn(3),
        accept: 0.9,
        threshold: None,
        leave_group: false,
        own_images: false,
    };
    let answer = classify(&model, &asked, &known, &options).unwrap();
    let classes: Vec<Option<&str>> = answer.answers.iter().map(|a| a.class.as_deref()).collect();
    assert_eq!(classes, [Some("left"), Some("right")]);
    let clusters = cluster(&known, ClusterMethod::KMeans { k: None }, 0).unwrap();
    assert_eq!(clusters.agreement.unwrap().ari, 1.0);
    // Judged by a protocol, beside pixels.
    let data = alike::data::load(&path.to_str().unwrap().into(), &DataPaths::default(), &mut Quiet).unwrap();
    let options = AccuracyOptions { k: vec![1], at: vec![1], ..AccuracyOptions::default() };
    let judged = accuracy_protocol(&Halves::new(), &data, &options).unwrap();
    assert_eq!(judged.judgement.spaces.feature.knn[&1].accuracy, 1.0);
    assert_eq!(judged.retrieval.feature.micro.map_at_r, 1.0);
    // A page of it has every figure but those of training.
    let [gallery, queries] =
        [&data.train, &data.test].map(|split| Halves::new().embed(&split.images).unwrap());
    let input = ReportInput {
        data: &data,
        training: None,
        gallery: &gallery,
        queries: &queries,
        judgement: &judged.judgement,
        retrieval: Some((&judged.retrieval.feature, Some(&judged.retrieval.image))),
    };
    let report = Report::new(&input, None, &PageFacts::default(), &mut Quiet).unwrap();
    let names: Vec<&str> = report.figures().iter().map(|f| f.name).collect();
    for name in ["spaces", "accuracy", "confusion", "neighbours", "verification", "clusters"] {
        assert!(names.contains(&name), "no {name} among {names:?}");
    }
    assert!(!names.contains(&"training") && !names.contains(&"architecture"), "{names:?}");
    assert!(report.html().contains("An encoder that was not trained here makes embeddings of 2 numbers."));
    // It is no run, so there is nothing that it was trained on.
    assert!(model.own_data(&mut Quiet).unwrap_err().to_string().contains("no images of its own"));
}

fn network(seed: u64, shape: &str) -> TrainedNetwork {
    let shape: Shape = shape.parse().unwrap();
    let network = Network::new("conv(8) relu conv(6) gap l2".parse().unwrap(), shape).unwrap();
    let parameters = initial(&network, seed);
    TrainedNetwork::new(Checkpoint {
        preparation: Preparation::exact(shape),
        ..Checkpoint::new(network, parameters)
    })
    .unwrap()
}

#[test]
fn members_are_concatenated_and_mirrors_averaged() {
    let images =
        Images::new(Shape { h: 6, w: 5, c: 1 }, (0..6 * 5 * 40).map(|i| (i * 37 % 251) as u8).collect());
    let (a, b) = (network(1, "6x5x1"), network(2, "6x5x1"));
    let (one, two) = (a.embed(&images).unwrap(), b.embed(&images).unwrap());
    let both = Ensemble::new(vec![Box::new(network(1, "6x5x1")), Box::new(network(2, "6x5x1"))]).unwrap();
    assert_eq!(both.facts().dimension, 12);
    assert_eq!(both.facts().fingerprint, format!("{}+{}", a.facts().fingerprint, b.facts().fingerprint));
    let together = both.embed(&images).unwrap();
    for i in 0..images.len() {
        let expected: Vec<f32> = one.row(i).iter().chain(two.row(i)).map(|v| v * 0.5f32.sqrt()).collect();
        assert!(together.row(i).iter().zip(&expected).all(|(x, y)| (x - y).abs() < 1e-6));
        assert!((together.row(i).iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    let other = a.embed(&images.mirrored().unwrap()).unwrap();
    let mirrored = Mirrored::new(a);
    let mean = mirrored.embed(&images).unwrap();
    for i in 0..images.len() {
        let sum: Vec<f32> = one.row(i).iter().zip(other.row(i)).map(|(x, y)| x + y).collect();
        let length = sum.iter().map(|v| v * v).sum::<f32>().sqrt();
        assert!(mean.row(i).iter().zip(&sum).all(|(m, s)| (m - s / length).abs() < 1e-5));
    }
    assert!(mirrored.facts().fingerprint.ends_with(" and mirrored"));
    // What was kept by version 0.1 says so once.
    let mirrors: Vec<Box<dyn Encoder>> =
        [1, 2].map(|seed| Box::new(Mirrored::new(network(seed, "6x5x1"))) as Box<dyn Encoder>).into();
    let all = Ensemble::new(mirrors).unwrap();
    assert_eq!(all.facts().fingerprint, format!("{} and mirrored", both.facts().fingerprint));
}

#[test]
fn what_does_not_go_together_is_an_error() {
    let wrong = Images::new(Shape { h: 4, w: 5, c: 1 }, vec![0; 20]);
    let error = network(1, "6x5x1").embed(&wrong).unwrap_err();
    assert_eq!(error.to_string(), "the encoder takes images of 6x5x1, not of 4x5x1");
    let unequal = Ensemble::new(vec![Box::new(network(1, "6x5x1")), Box::new(network(1, "6x6x1"))]);
    assert!(matches!(unequal, Err(EncoderError::Preparation { member: 2, .. })));
    assert!(matches!(Ensemble::new(Vec::new()), Err(EncoderError::Empty)));
}
