use super::*;
use crate::distance::Distance;
use crate::loss::{Losses, Regularizer};
use crate::mining::BatchHard;
use crate::rng::{Purpose, stream};
use crate::text::Choice;

fn spec(losses: &str) -> ObjectiveSpec {
    ObjectiveSpec::new(losses.parse::<Losses>().unwrap())
}

/// Every loss that there is, whose values a reference has proved elsewhere: its gradients against differences of its own
/// value, for embeddings and for what it learns.
#[test]
fn gradients_of_every_loss_agree_with_finite_differences() {
    for loss in Loss::all() {
        // Ranks as steep as the defaults' have no finite differences in f32.
        let text = match loss.name().as_str() {
            name @ "smooth-ap" => format!("{name}:temperature=0.3"),
            // Narrow bins have a kink at every step.
            name @ "histogram" => format!("{name}:num-bins=8"),
            name @ "pnp" => format!("{name}:anneal=0.3"),
            name @ "margin" => format!("{name}:learn-beta=true,per-class=true,nu=0.1"),
            name @ ("arcface" | "cosface" | "subcenter-arcface" | "tuplet-margin" | "instance") => {
                format!("{name}:{}", if name == "instance" { "gamma=4" } else { "scale=4" })
            }
            name => name.to_owned(),
        };
        check_gradient(&spec(&text));
    }
    let mut other = spec("triplet-margin:swap=true,margin=0.6 + 0.5 * multi-similarity");
    other.regularizers = vec![(0.2, Regularizer::Lp(Default::default())), (0.1, Regularizer::ZeroMean)];
    check_gradient(&other);
    let mut proxies = spec("soft-triple:centers-per-class=3");
    proxies.regularizers = vec![
        (0.2, Regularizer::SparseCenters),
        (0.3, Regularizer::CenterInvariant),
        (0.1, Regularizer::RegularFace),
    ];
    check_gradient(&proxies);
    for reducer in ["sum", "mean", "per-anchor", "threshold:low=0.1", "class-weighted:weights=1/2/0.5"] {
        let mut one = spec("contrastive");
        one.reducer = Some(reducer.parse().unwrap());
        check_gradient(&one);
    }
}

fn check_gradient(spec: &ObjectiveSpec) {
    check_gradient_at(spec, 1.0);
}

fn check_gradient_at(spec: &ObjectiveSpec, length: f32) {
    let (d, labels) = (6, [0u32, 0, 1, 1, 2, 2, 2, 0]);
    let mut x: Vec<f32> =
        (0..labels.len() * d).map(|i| (i as f32 * 1.3 + 0.2).sin() * 1.5 * length).collect();
    let fresh = Objective::new(spec.clone(), 3, d, 7, Tier::available()[0]).unwrap();
    let value = |objective: &Objective, x: &[f32]| {
        let (mut g, mut p) = (vec![0.0; x.len()], vec![0.0; objective.parameter_count()]);
        let rng = &mut stream(0, Purpose::Mining, 0, 0);
        let report = objective.clone().evaluate(x, &labels, rng, &mut g, &mut p);
        (report.loss, g, p)
    };
    let (loss, gradient, by_parameter) = value(&fresh, &x);
    let name = spec.losses.to_string();
    assert!(loss.is_finite() && loss.abs() > 1e-4, "{name}: {loss}");
    let scale = gradient.iter().fold(1e-2 / length, |m, g| m.max(g.abs()));
    let by_scale = by_parameter.iter().fold(scale.min(1e-2), |m, g| m.max(g.abs()));
    let by_scale = if length == 1.0 { by_scale.max(scale) } else { by_scale };
    let e = length / 512.0;
    // Weights that have no gradient by definition: differences of the value as a whole are not theirs.
    if name.starts_with("dynamic-soft-margin") || name.starts_with("circle") {
        return;
    }
    let mut off = 0;
    let mut tried = 0;
    for i in 0..x.len() {
        let old = x[i];
        x[i] = old + e;
        let up = value(&fresh, &x).0;
        x[i] = old - e;
        let down = value(&fresh, &x).0;
        x[i] = old;
        let numeric = (up - down) / f64::from(2.0 * e);
        tried += 1;
        off += usize::from((numeric - f64::from(gradient[i])).abs() > 0.03 * f64::from(scale));
    }
    let e = 1.0 / 512.0;
    let mut parameters = Vec::new();
    fresh.read_parameters(&mut parameters);
    for i in 0..parameters.len() {
        let mut moved = |e: f32| {
            let mut objective = fresh.clone();
            let old = parameters[i];
            parameters[i] = old + e;
            objective.write_parameters(&parameters);
            parameters[i] = old;
            value(&objective, &x).0
        };
        let numeric = (moved(e) - moved(-e)) / f64::from(2.0 * e);
        tried += 1;
        off += usize::from((numeric - f64::from(by_parameter[i])).abs() > 0.03 * f64::from(by_scale));
    }
    // A hinge within a step of its kink has no derivative to compare with.
    assert!(off * 50 <= tried, "{name}: {off} of {tried} derivatives are off");
}

/// At lengths of 1e4 and 1e-4 the gradients of what sees directions alone are as many times smaller or larger; all are
/// numbers, with vectors of no length, equal and opposite ones too.
#[test]
fn gradients_are_numbers_at_all_lengths() {
    let (d, labels) = (6, [0u32, 0, 1, 1, 2, 2, 2, 0]);
    let usual: Vec<f32> = (0..labels.len() * d).map(|i| (i as f32 * 1.3 + 0.2).sin() * 1.5).collect();
    let value = |spec: &ObjectiveSpec, x: &[f32]| {
        let mut objective = Objective::new(spec.clone(), 3, d, 7, Tier::available()[0]).unwrap();
        let (mut g, mut p) = (vec![0.0; x.len()], vec![0.0; objective.parameter_count()]);
        let report = objective.evaluate(x, &labels, &mut stream(0, Purpose::Mining, 0, 0), &mut g, &mut p);
        (report, g, p)
    };
    let norm = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
    for loss in Loss::all() {
        let own = loss.facts().distance;
        let mut specs = vec![spec(&loss.name())];
        for distance in Distance::NAMED.map(|(_, d)| d).into_iter().chain([Distance::Lp(3.0)]) {
            if own.takes(distance) && distance != own.usual() {
                specs.push(ObjectiveSpec { distance: Some(distance), ..spec(&loss.name()) });
            }
        }
        for spec in specs {
            let name = format!("{} by {:?}", spec.losses, spec.distance);
            let directions = spec.distance.unwrap_or(own.usual()).of_directions()
                && !["large-margin-softmax", "sphereface", "vicreg"].contains(&loss.name().as_str());
            let (report, gradient, _) = value(&spec, &usual);
            for scale in [1e-4f32, 1e4] {
                let mut x: Vec<f32> = usual.iter().map(|v| v * scale).collect();
                let (scaled, g, p) = value(&spec, &x);
                assert!(scaled.loss.is_finite(), "{name} at {scale}: {scaled:?}");
                assert!(g.iter().chain(&p).all(|v| v.is_finite()), "{name} at {scale}");
                if directions {
                    let off: Vec<f32> = g.iter().zip(&gradient).map(|(a, b)| a * scale - b).collect();
                    assert!(
                        (scaled.loss - report.loss).abs() < 1e-3 * report.loss.abs().max(0.01),
                        "{name}: {scaled:?} {report:?}"
                    );
                    assert!(
                        norm(&off) < 1e-2 * norm(&gradient).max(1e-3),
                        "{name}: {} {}",
                        norm(&off),
                        norm(&gradient)
                    );
                }
                x[..d].fill(0.0);
                let (first, rest) = x.split_at_mut(3 * d);
                rest[..d].copy_from_slice(&first[2 * d..]);
                rest[d..2 * d].iter_mut().zip(&first[d..2 * d]).for_each(|(to, v)| *to = -v);
                let (odd, g, p) = value(&spec, &x);
                assert!(odd.loss.is_finite(), "{name} at {scale} with odd vectors: {odd:?}");
                assert!(g.iter().chain(&p).all(|v| v.is_finite()), "{name} at {scale} with odd vectors");
            }
        }
    }
    // Weights of violations that overflow.
    let mut far = spec("ranked-list:tn=1000,tp=100");
    far.distance = Some(Distance::Euclidean);
    let x: Vec<f32> = usual.iter().map(|v| v * 1e4).collect();
    let (report, g, _) = value(&far, &x);
    assert!(report.loss.is_finite() && report.loss > 0.0 && g.iter().all(|v| v.is_finite()), "{report:?}");
}

/// Lengths of 1e4 and of 1e-4 where lengths matter, against differences of the value.
#[test]
fn gradients_of_long_and_short_vectors_agree_with_finite_differences() {
    for (losses, distance) in [
        ("contrastive:neg-margin=20000", Distance::Euclidean),
        ("triplet-margin:margin=1", Distance::Euclidean),
        ("multi-similarity:alpha=0.001,beta=0.001,base=9000", Distance::Euclidean),
        ("nt-xent:temperature=5000", Distance::Euclidean),
        ("supervised-contrastive:temperature=5000", Distance::Euclidean),
        ("generalized-lifted-structure:neg-margin=20000", Distance::Euclidean),
        ("nca:softmax-scale=0.0003", Distance::Euclidean),
        ("ranked-list:alpha=15000,tn=0.001", Distance::Euclidean),
        ("supervised-contrastive:temperature=1e8", Distance::Dot),
    ] {
        let one = ObjectiveSpec { distance: Some(distance), ..spec(losses) };
        check_gradient_at(&one, 1e4);
    }
    for losses in ["contrastive", "nt-xent", "large-margin-softmax:scale=10000", "vicreg"] {
        check_gradient_at(&spec(losses), 1e-4);
    }
}

#[test]
fn a_memory_is_a_reference_and_the_batch_is_in_it() {
    let d = 4;
    let mut with = spec("multi-similarity");
    with.memory = 12;
    let mut objective = Objective::new(with, 2, d, 0, Tier::available()[0]).unwrap();
    let plain = Objective::new(spec("multi-similarity"), 2, d, 0, Tier::available()[0]).unwrap();
    let x: Vec<f32> = (0..6 * d).map(|i| (i as f32 * 0.7).sin()).collect();
    let labels = [0, 0, 1, 1, 0, 1];
    let mut g = vec![0.0; x.len()];
    let rng = &mut stream(0, Purpose::Mining, 0, 0);
    let first = objective.evaluate(&x, &labels, rng, &mut g, &mut []).loss;
    // With nothing but itself in the memory the value is the batch's own.
    assert!((first - plain.clone().evaluate(&x, &labels, rng, &mut g, &mut []).loss).abs() < 1e-9);
    let other: Vec<f32> = x.iter().map(|v| v + 0.3).collect();
    let second = objective.evaluate(&other, &labels, rng, &mut g, &mut []).loss;
    assert!((second - plain.clone().evaluate(&other, &labels, rng, &mut g, &mut []).loss).abs() > 1e-3);
}

#[test]
fn what_does_not_go_together_is_refused() {
    let refused = |change: fn(&mut ObjectiveSpec), losses: &str| {
        let mut s = spec(losses);
        change(&mut s);
        s.check().unwrap_err().to_string()
    };
    assert!(refused(|s| s.distance = Some(Distance::Euclidean), "circle").contains("cosine only"));
    assert!(refused(|s| s.reducer = "per-anchor".parse().ok(), "triplet-margin").contains("per-anchor"));
    assert!(refused(|s| s.miner = Some(Miner::BatchHard(BatchHard {})), "vicreg").contains("--miner"));
    assert!(refused(|s| s.memory = 9, "arcface").contains("memory"));
    assert!(refused(|_| (), "vicreg + circle").contains("two views"));
    assert!(
        refused(|s| s.regularizers = vec![(1.0, Regularizer::RegularFace)], "circle").contains("proxies")
    );
    assert!("circle:gamma=-1".parse::<Losses>().unwrap_err().to_string().contains("gamma must be above 0"));
    assert!("cirle".parse::<Losses>().unwrap_err().to_string().contains("did you mean 'circle'"));
    assert!("x * circle".parse::<Losses>().unwrap_err().to_string().contains("not a weight"));
}

#[test]
fn losses_are_written_as_they_are_read() {
    for text in ["multi-similarity", "circle:gamma=2 + 0.5 * vicreg", "pnp:variant=Ds"] {
        let losses: Losses = text.parse().unwrap();
        assert_eq!(losses.to_string().parse::<Losses>().unwrap(), losses);
    }
}
