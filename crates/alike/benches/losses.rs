//! Every loss on MNIST with its usual values, the same network, images and seed: a table for `bench/RESULTS.md`.
//!
//! cargo bench -p alike --bench losses -- [LOSS...]        needs $ALIKE_DATA/mnist

use alike::data::{DataPaths, Dataset, Quiet, load};
use alike::eval::{Retrieval, rank_quality, vote};
use alike::images::{Features, Vectors};
use alike::loss::Loss;
use alike::neighbours::{Exact, Exclude, nearest};
use alike::text::Choice;
use alike::train::{Settings, TrainError, Training};
use alike_kernels::Tier;
use std::error::Error;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

fn settings(loss: &Loss) -> Settings {
    let views = loss.facts().views;
    Settings {
        loss: loss.name(),
        epochs: 1,
        sampler: if views { "random" } else { "pk:10x20" }.parse().expect("a sampler"),
        batch_size: if views { 100 } else { 200 },
        self_supervised: views,
        seed: 1,
        ..Settings::recipe("fast", "mnist").expect("the recipe")
    }
}

/// 1-NN of the test images by the training images.
fn accuracy(tier: Tier, data: &Dataset, gallery: &Features, queries: &Features) -> f64 {
    let right = nearest(
        &Exact::with_tier(tier, Vectors::Features(gallery)),
        Vectors::Features(queries),
        1,
        Exclude::None,
        |q, list| vote(&[data.train.labels[list[0].index]]) == data.test.labels[q],
    );
    right.iter().filter(|r| **r).count() as f64 / right.len() as f64
}

/// The test images among themselves.
fn retrieval(tier: Tier, data: &Dataset, vectors: &Features) -> Retrieval {
    let labels = &data.test.labels;
    let count = |l: u32| labels.iter().filter(|x| **x == l).count();
    let counts: Vec<usize> = (0..data.classes.len() as u32).map(count).collect();
    let most = counts.iter().max().map_or(1, |n| n - 1);
    let vectors = Vectors::Features(vectors);
    let all = nearest(&Exact::with_tier(tier, vectors), vectors, most, Exclude::Itself, |q, list| {
        rank_quality(list.iter().map(|n| labels[n.index] == labels[q]), counts[labels[q] as usize] - 1)
    });
    Retrieval::mean(&all)
}

fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let tier = Tier::from_env()?;
    let data_dir = std::env::var_os("ALIKE_DATA").map(Into::into);
    let data = load(&"mnist".into(), &DataPaths { data_dir, ..DataPaths::default() }, &mut Quiet)?;
    println!("| loss | 1-NN | R-Precision | MAP@R | training, s |\n|---|---|---|---|---|");
    for loss in Loss::all().iter().filter(|l| wanted.is_empty() || wanted.contains(&l.name())) {
        let began = Instant::now();
        let mut training = Training::new(settings(loss), &data)?;
        match training.run(&data, &mut [], &AtomicBool::new(false)) {
            Ok(_) => {}
            Err(e @ (TrainError::NotFinite { .. } | TrainError::WeightsNotFinite { .. })) => {
                println!("| {} | {e} | | | |", loss.name());
                continue;
            }
            Err(e) => return Err(e.into()),
        }
        let seconds = began.elapsed().as_secs_f64();
        let (gallery, queries) = (training.embed(&data.train.images)?, training.embed(&data.test.images)?);
        let (first, rest) = (accuracy(tier, &data, &gallery, &queries), retrieval(tier, &data, &queries));
        println!(
            "| {} | {:.2} % | {:.2} % | {:.2} % | {seconds:.1} |",
            loss.name(),
            100.0 * first,
            100.0 * rest.r_precision,
            100.0 * rest.map_at_r,
        );
    }
    Ok(())
}
