//! Losses and miners against pytorch-metric-learning: `fixtures/losses.py` made the numbers, in f64.

use crate::golden::{Golden, norm, relative};
use alike::distance::Distance;
use alike::loss::{Objective, ObjectiveSpec, parse_regularizer};
use alike::mining::{Candidates, Lists, Mine, Miner, Tuples, distances};
use alike::rng::{Purpose, stream};
use alike_kernels::Tier;
use serde_json::Value;

fn text<'a>(case: &'a Value, key: &str) -> Option<&'a str> {
    case.get(key).and_then(Value::as_str)
}

/// Pairs `(anchor, other)` or triplets, as a golden file has them.
fn lists<const N: usize>(golden: &Golden, name: &str, anchors: usize) -> Lists<[u32; N]> {
    let all = golden.integers(name);
    Lists::gather(
        anchors,
        all.chunks_exact(N + 1).map(|t| (t[0] as usize, std::array::from_fn(|i| t[i + 1]))),
    )
}

fn singles(golden: &Golden, name: &str, anchors: usize) -> Lists<u32> {
    let all = golden.integers(name);
    Lists::gather(anchors, all.chunks_exact(2).map(|t| (t[0] as usize, t[1])))
}

fn tuples(golden: &Golden, key: &str, anchors: usize) -> Tuples {
    if golden.has(&format!("{key}.triplets")) {
        Tuples::Triplets(lists(golden, &format!("{key}.triplets"), anchors))
    } else if golden.has(&format!("{key}.positives")) {
        Tuples::Pairs {
            positives: singles(golden, &format!("{key}.positives"), anchors),
            negatives: singles(golden, &format!("{key}.negatives"), anchors),
        }
    } else {
        Tuples::All
    }
}

/// The largest error of every case: the difference's norm by the golden's, a tensor at a time.
#[test]
fn every_loss_agrees_with_the_reference_in_value_and_gradient() {
    let golden = Golden::read("losses");
    let cases: Vec<Value> = serde_json::from_str(&golden.note("cases")).unwrap();
    let classes = golden.note("classes").parse().unwrap();
    let mut runs = 0;
    let mut failures = Vec::new();
    for case in &cases {
        let spec = ObjectiveSpec {
            losses: text(case, "losses").unwrap().parse().unwrap(),
            distance: text(case, "distance").map(|d| d.parse::<Distance>().unwrap()),
            reducer: text(case, "reducer").map(|r| r.parse().unwrap()),
            miner: None,
            regularizers: case["regularizers"]
                .as_array()
                .map(|all| all.iter().map(|r| parse_regularizer(r.as_str().unwrap()).unwrap()).collect())
                .unwrap_or_default(),
            memory: case["memory"].as_u64().unwrap_or(0) as usize,
        };
        for run in case["runs"].as_array().unwrap() {
            let batch = text(run, "batch").unwrap();
            let key = format!("{}.{batch}", case["number"]);
            let x = golden.floats(&format!("{batch}.embeddings"));
            let labels = golden.integers(&format!("{batch}.labels"));
            let d = x.len() / labels.len();
            for tier in Tier::available() {
                let mut objective = Objective::new(spec.clone(), classes, d, 0, tier).unwrap();
                let proxies = format!("{key}.vectors");
                if golden.has(&proxies) {
                    objective.states_mut()[0].proxies = golden.floats(&proxies);
                }
                if let Some(memory) = objective.memory_mut() {
                    let old = golden.floats(&format!("{key}.memory"));
                    let labels: Vec<u32> = (0..16).map(|i| i % 5).collect();
                    memory.put(&old, &labels);
                }
                let (mut gradient, mut learned) =
                    (vec![9.0; x.len()], vec![9.0; objective.parameter_count()]);
                let tuples = tuples(&golden, &key, labels.len());
                let report = objective.evaluate_tuples(&x, &labels, &tuples, &mut gradient, &mut learned);
                let expected = run["value"].as_f64().unwrap();
                let name = format!("{spec:?} on {batch}, {tier:?}");
                let mut check = |what: &str, error: f64| {
                    if error.is_nan() || error >= 1e-4 {
                        failures.push(format!("{name}: {what} is off by {error:.1e}"));
                    }
                };
                check("the value", (report.loss - expected).abs() / expected.abs().max(1e-3));
                let expected = golden.floats(&format!("{key}.gradient"));
                let floor = 1e-4;
                check("the gradient", relative(&gradient, &expected, floor));
                let by_proxies = format!("{key}.vectors_gradient");
                if golden.has(&by_proxies) {
                    let expected = golden.floats(&by_proxies);
                    check(
                        "the proxies' gradient",
                        relative(&learned, &expected, floor.max(1e-3 * norm(&gradient))),
                    );
                }
                let by_numbers = format!("{key}.numbers_gradient");
                if golden.has(&by_numbers) {
                    check("the boundaries' gradient", relative(&learned, &golden.floats(&by_numbers), floor));
                }
                runs += 1;
            }
        }
    }
    assert!(runs > 400, "{runs}");
    assert!(failures.is_empty(), "{} of {runs}:\n{}", failures.len(), failures.join("\n"));
}

#[test]
fn every_deterministic_miner_picks_what_the_reference_picks() {
    let golden = Golden::read("miners");
    let cases: Vec<Value> = serde_json::from_str(&golden.note("cases")).unwrap();
    assert!(cases.len() > 80);
    for case in &cases {
        let (spec, batch) = (text(case, "miner").unwrap(), text(case, "batch").unwrap());
        let miner: Miner = spec.parse().unwrap();
        let x = golden.floats(&format!("{batch}.embeddings"));
        let labels = golden.integers(&format!("{batch}.labels"));
        let n = labels.len();
        let distance: Distance = text(case, "distance").unwrap().parse().unwrap();
        let candidates = Candidates {
            labels: &labels,
            references: &labels,
            distances: distances(Tier::available()[0], distance, &x, None, x.len() / n),
            d: x.len() / n,
            itself: (0..n).map(Some).collect(),
        };
        let key = format!("{}.{batch}", case["number"]);
        let sorted = |tuples: &Tuples| -> Vec<Vec<u32>> {
            let mut all: Vec<Vec<u32>> = match tuples {
                Tuples::All => Vec::new(),
                Tuples::Pairs { positives, negatives } => (0..n as u32)
                    .flat_map(|a| {
                        let both = [(0, positives.of(a as usize)), (1, negatives.of(a as usize))];
                        both.into_iter()
                            .flat_map(move |(kind, list)| list.iter().map(move |j| vec![kind, a, *j]))
                    })
                    .collect(),
                Tuples::Triplets(t) => (0..n as u32)
                    .flat_map(|a| t.of(a as usize).iter().map(move |t| vec![a, t[0], t[1]]))
                    .collect(),
            };
            if matches!(miner, Miner::Hdc(_)) {
                // A pair and its mirror image are equally hard, and the cut may fall between them.
                all.iter_mut().for_each(|pair| pair[1..].sort_unstable());
            }
            all.sort_unstable();
            all.dedup();
            all
        };
        let ours = miner.mine(&candidates, &mut stream(0, Purpose::Mining, 0, 0));
        assert_eq!(sorted(&ours), sorted(&tuples(&golden, &key, n)), "{spec} on {batch}");
    }
}
