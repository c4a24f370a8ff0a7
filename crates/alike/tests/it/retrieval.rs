//! Retrieval and verification against pytorch-metric-learning and scikit-learn: `fixtures/retrieval.py`.

use crate::golden::Golden;
use alike::data::{Dataset, Split};
use alike::eval::{Judge, verification};
use alike::identity::Identities;
use alike::images::{Features, Images, Shape, Vectors};
use alike_kernels::Tier;
use serde_json::Value;

const D: usize = 12;

/// A set whose test part asks its training part, or itself.
fn data(asked: &[u32], labels: &[u32], own: bool) -> Dataset {
    let split = |labels: &[u32]| {
        let images = Images::new(Shape { h: 1, w: 1, c: 1 }, vec![0; labels.len()]);
        Split::new(images, labels.to_vec())
    };
    let classes = (0..14).map(|i| i.to_string()).collect();
    // Where the queries are the gallery, training is on another class.
    let train = if own { split(&[13]) } else { split(labels) };
    Dataset::new("golden", "", classes, train, split(asked))
}

#[test]
fn every_measure_agrees_with_the_references() {
    let golden = Golden::read("retrieval");
    let expected: Value = serde_json::from_str(&golden.note("expected")).unwrap();
    let gallery = Features::new(D, golden.floats("gallery"));
    let queries = Features::new(D, golden.floats("queries"));
    let (labels, asked) = (golden.integers("labels"), golden.integers("asked"));
    let ks = [1, 5, 10];
    for tier in Tier::available() {
        let judge = Judge::new(&[1]).with_tier(tier);
        for (name, own) in [("apart", false), ("own", true)] {
            let (queries, asked) = if own { (&gallery, &labels) } else { (&queries, &asked) };
            let data = data(asked, &labels, own);
            assert_eq!(data.gallery().1, own);
            let report =
                judge.retrieval(&data, Vectors::Features(&gallery), Vectors::Features(queries), &ks).unwrap();
            assert_eq!(report.queries as u64, expected[name]["matched"].as_u64().unwrap());
            assert_eq!(report.queries + report.without_match, asked.len());
            for (kind, quality) in [("micro", &report.micro), ("per_class", &report.per_class)] {
                let found: std::collections::BTreeMap<String, f64> = quality.named(&ks).into_iter().collect();
                for (measure, value) in expected[name][kind].as_object().unwrap() {
                    let (ours, theirs) = (found[measure], value.as_f64().unwrap());
                    assert!(
                        (ours - theirs).abs() < 1e-6,
                        "{tier:?} {name} {kind} {measure}: {ours} {theirs}"
                    );
                }
            }
            for (measure, value) in report.micro.named(&ks) {
                let [low, high] = report.intervals[&measure];
                assert!(low < value && value < high, "{measure}: {value} in {low} to {high}");
            }
            assert_eq!(report.intervals.len(), 3 * ks.len() + 4);
        }
    }
    let ours =
        verification(Vectors::Features(&gallery), &labels, &Identities::numbered(labels.len()), 0).unwrap();
    let theirs = expected["eer"].as_f64().unwrap();
    assert!((ours.eer - theirs).abs() < 1e-6, "{} {theirs}", ours.eer);
    assert_eq!(ours.genuine + ours.impostor, 700 * 699 / 2);
}
