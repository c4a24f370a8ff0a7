//! Anomalies, verification and clusters against scikit-learn: `fixtures/judging.py`.

use crate::golden::Golden;
use alike::eval::{Agreement, AnomalyMethod, Detection, Detector, Pair, Pairs};
use alike::images::{Features, Vectors};
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
fn anomaly_scores_are_scikit_learns_on_every_tier() {
    let golden = Golden::read("judging");
    let reference = Features::new(8, golden.floats("reference"));
    let queries = Features::new(8, golden.floats("queries"));
    let labels = golden.integers("labels");
    for tier in Tier::available() {
        for name in ["lof", "mahalanobis", "mahalanobis-by-class"] {
            let method: AnomalyMethod = name.parse().unwrap();
            let detector = Detector::fit(tier, Vectors::Features(&reference), &labels, method).unwrap();
            let ours = detector.score(Vectors::Features(&queries));
            for (o, t) in ours.iter().zip(golden.floats(name)) {
                assert!((o - f64::from(t)).abs() < 1e-5 * f64::from(t), "{tier:?} {name}: {o} {t}");
            }
            if name == "lof" {
                for (o, t) in detector.reference_scores().iter().zip(golden.floats("lof_reference")) {
                    assert!((o - f64::from(t)).abs() < 1e-5 * f64::from(t), "{tier:?} {name}: {o} {t}");
                }
            }
        }
    }
}
