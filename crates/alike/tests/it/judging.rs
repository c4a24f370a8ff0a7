//! Anomalies, verification, clusters and whitening against scikit-learn: `fixtures/judging.py`.

use crate::golden::Golden;
use alike::data::Augment;
use alike::eval::{
    Agreement, AnomalyMethod, Detection, Detector, Pair, Pairs, Reference, vote, weighted_vote,
};
use alike::identity::Identities;
use alike::images::{Features, Images, Vectors};
use alike::model::{Network, initial};
use alike::neighbours::{Exact, Exclude, nearest};
use alike::train::{WhitenBy, WhitenError, whiten};
use alike_kernels::Tier;
use serde_json::{Value, json};

#[track_caller]
fn close(ours: f64, theirs: f64, what: &str) {
    assert!((ours - theirs).abs() < 1e-6 * theirs.abs().max(1.0), "{what}: {ours} {theirs}");
}

#[test]
fn detection_and_agreement_are_scikit_learns() {
    let golden = Golden::read("judging");
    let expected: Value = serde_json::from_str(&golden.note("expected")).unwrap();
    let scores: Vec<f64> = golden.floats("scores").iter().map(|v| f64::from(*v)).collect();
    let anomaly: Vec<bool> = golden.integers("anomaly").iter().map(|a| *a == 1).collect();
    let ours = json!(Detection::new(&scores, &anomaly).unwrap());
    for (name, value) in expected["detection"].as_object().unwrap() {
        close(ours[name].as_f64().unwrap(), value.as_f64().unwrap(), name);
    }
    // The same as pairs, an anomaly's score being nearness.
    let pair = |(i, (s, a)): (usize, (&f64, &bool))| Pair {
        distance: -s,
        genuine: *a,
        of: [i as u32; 2],
        images: [i as u32; 2],
        key: i as u64,
    };
    let pairs = Pairs::new(scores.iter().zip(&anomaly).enumerate().map(pair).collect()).unwrap();
    for (far, tar) in expected["tar"].as_object().unwrap() {
        close(pairs.at_far(far.parse().unwrap()).tar, tar.as_f64().unwrap(), far);
    }
    let ours = json!(Agreement::new(&golden.integers("classes"), &golden.integers("clusters")));
    for (name, value) in expected["agreement"].as_object().unwrap() {
        close(ours[name].as_f64().unwrap(), value.as_f64().unwrap(), name);
    }
}

#[test]
fn anomaly_scores_are_scikit_learns() {
    let golden = Golden::read("judging");
    let reference = Features::new(8, golden.floats("reference"));
    let queries = Features::new(8, golden.floats("queries"));
    let labels = golden.integers("labels");
    let identities = Identities::numbered(labels.len());
    for name in ["lof", "mahalanobis", "mahalanobis-by-class"] {
        let method: AnomalyMethod = name.parse().unwrap();
        let detector =
            Detector::fit(Reference::new(Vectors::Features(&reference), &labels, &identities), method)
                .unwrap();
        let ours = detector.score(Vectors::Features(&queries), None);
        for (o, t) in ours.iter().zip(golden.floats(name)) {
            assert!((o - f64::from(t)).abs() < 1e-5 * f64::from(t), "{name}: {o} {t}");
        }
        if name == "lof" {
            for (o, t) in
                detector.reference_scores().into_iter().flatten().zip(golden.floats("lof_reference"))
            {
                assert!((o - f64::from(t)).abs() < 1e-5 * f64::from(t), "{name}: {o} {t}");
            }
        }
    }
}

#[test]
fn votes_are_scikit_learns() {
    let golden = Golden::read("judging");
    let reference = Features::new(8, golden.floats("reference"));
    let queries = Features::new(8, golden.floats("queries"));
    let labels = golden.integers("labels");
    let (g, q) = (Vectors::Features(&reference), Vectors::Features(&queries));
    let lists = nearest(&Exact::with_tier(Tier::available()[0], g), q, 7, Exclude::None, |_, l| l.to_vec());
    let mut differ = 0;
    for ((list, weighted), plain) in
        lists.iter().zip(golden.integers("weighted_votes")).zip(golden.integers("votes"))
    {
        let votes: Vec<(u32, f64)> = list.iter().map(|n| (labels[n.index], n.distance)).collect();
        assert_eq!(weighted_vote(&votes), weighted);
        differ += usize::from(weighted != plain);
        // Of tied classes scikit-learn takes the first by name, we the nearest.
        let of = |class: u32| votes.iter().filter(|v| v.0 == class).count();
        let ours = vote(&votes.iter().map(|v| v.0).collect::<Vec<_>>());
        assert!(ours == plain || of(ours) == of(plain), "{votes:?}: {ours} {plain}");
    }
    assert!(differ > 0, "weights decide nothing here");
}

/// A network's weights `k x 8` and biases over vectors of eight numbers, whitened.
fn whitened(spec: &str, vectors: &[f32], labels: &[u32]) -> Result<(Vec<f32>, Vec<f32>), WhitenError> {
    let images = Images::from_features(8, vectors);
    let network = Network::new(spec.parse().unwrap(), images.shape()).unwrap();
    let mut parameters = initial(&network, 1);
    let identities = &Identities::numbered(labels.len());
    let by = WhitenBy { images: &images, labels: Some(labels), identities, augment: &Augment::None, seed: 1 };
    whiten(&network, &mut parameters, by)?;
    let k = network.embedding();
    let biases = parameters.split_off(parameters.len() - k);
    Ok((parameters, biases))
}

/// `a x n` by `n x b`.
fn product(a: &[f32], n: usize, b: impl Fn(usize, usize) -> f64, columns: usize) -> Vec<f64> {
    let row = |i: usize, j: usize| (0..n).map(|k| f64::from(a[i * n + k]) * b(k, j)).sum();
    (0..a.len() / n).flat_map(|i| (0..columns).map(move |j| row(i, j))).collect()
}

#[test]
fn whitening_is_scikit_learns_within_classes() {
    let golden = Golden::read("judging");
    let (vectors, labels) = (golden.floats("reference"), golden.integers("labels"));
    let n = labels.len();
    let mean: Vec<f64> =
        (0..8).map(|j| (0..n).map(|i| f64::from(vectors[i * 8 + j])).sum::<f64>() / n as f64).collect();
    // All eight directions: WᵀW is the inverse of the covariance within classes.
    let (w, bias) = whitened("linear(8)", &vectors, &labels).unwrap();
    let transposed: Vec<f32> = (0..64).map(|i| w[i % 8 * 8 + i / 8]).collect();
    let square = product(&transposed, 8, |k, j| f64::from(w[k * 8 + j]), 8);
    let expected = golden.floats("whitening");
    let largest = expected.iter().fold(0.0f64, |m, v| m.max(f64::from(*v).abs()));
    for (o, t) in square.iter().zip(&expected) {
        assert!((o - f64::from(*t)).abs() < 1e-5 * largest, "{o} {t}");
    }
    for (o, b) in product(&w, 8, |k, _| mean[k], 1).iter().zip(&bias) {
        assert!((o + f64::from(*b)).abs() < 1e-4, "the mean of all vectors becomes zero: {o} {b}");
    }
    // Three of them: those along which all vectors vary most, each free of the others.
    let (w, _) = whitened("linear(3) l2", &vectors, &labels).unwrap();
    let out: Vec<Vec<f64>> =
        (0..n).map(|i| product(&w, 8, |k, _| f64::from(vectors[i * 8 + k]) - mean[k], 1)).collect();
    for (a, variance) in golden.floats("whitened_variances").iter().enumerate() {
        for b in 0..3 {
            let ours = out.iter().map(|o| o[a] * o[b]).sum::<f64>() / (n as f64 - 1.0);
            let theirs = if a == b { f64::from(*variance) } else { 0.0 };
            assert!((ours - theirs).abs() < 1e-4 * f64::from(*variance), "{a} {b}: {ours} {theirs}");
        }
    }
}

#[test]
fn what_cannot_be_whitened_is_refused() {
    let golden = Golden::read("judging");
    let (vectors, labels) = (golden.floats("reference"), golden.integers("labels"));
    let apart: Vec<u32> = (0..labels.len() as u32).collect();
    let same = [3.7f32, 0.1].repeat(4).repeat(labels.len());
    assert!(matches!(whitened("relu", &vectors, &labels), Err(WhitenError::NotLinear)));
    assert!(matches!(whitened("linear(4) norm", &vectors, &labels), Err(WhitenError::NotLinear)));
    assert!(matches!(whitened("residual(linear(8))", &vectors, &labels), Err(WhitenError::NotLinear)));
    assert!(matches!(whitened("linear(9)", &vectors, &labels), Err(WhitenError::TooLong { inputs: 8, .. })));
    assert!(matches!(whitened("linear(8)", &vectors, &apart), Err(WhitenError::Alike)));
    assert!(matches!(whitened("linear(8)", &same, &labels), Err(WhitenError::Alike)));
}
