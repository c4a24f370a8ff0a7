//! Alike's side of `bench/compare.py`: reads one task a line, does it once, answers with the seconds that it took.
//!
//! Data are loaded before anything is timed, and a task's result is used, so that nothing is left out.

use alike::data::{Dataset, Places, Quiet, load};
use alike::distance::Distance;
use alike::engine::Engine;
use alike::images::{Features, Vectors};
use alike::loss::{TripletMargin, mean_triplet_loss};
use alike::model::{Network, SEED_SPEC, initial};
use alike::neighbours::nearest;
use alike::projection::Pca;
use alike::train::Adam;
use alike_kernels::Tier;
use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

/// A network with what a training step needs.
struct Learner {
    engine: Engine,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    adam: Adam,
}

/// Steps, and batches, that a task times together: one alone is over too soon.
const STEPS: usize = 20;

impl Learner {
    fn new(spec: &str, tier: Tier, data: &Dataset) -> Result<Learner, Box<dyn Error>> {
        let network = Network::new(spec.parse()?, data.shape())?;
        let parameters = initial(&network, 0);
        let (gradient, adam) = (vec![0.0; parameters.len()], Adam::new(parameters.len(), 1e-3));
        Ok(Learner { engine: Engine::with_tier(&network, tier), parameters, gradient, adam })
    }

    /// Forward, triplet margin loss, backward and Adam; which images make a batch was settled before.
    fn train(&mut self, data: &Dataset, batch: usize) -> f64 {
        let loss = TripletMargin { margin: 1.0 };
        let mut total = 0.0;
        for step in 0..STEPS {
            let images: Vec<usize> = (0..batch).map(|i| (step * batch + i) * 17 % data.train.len()).collect();
            let embeddings = self.engine.forward(&self.parameters, &data.train.images, &images);
            let d = embeddings.len() / batch;
            let mut slopes = vec![0.0; embeddings.len()];
            total += mean_triplet_loss(&loss, Distance::Euclidean, embeddings, d, &mut slopes).loss;
            self.engine.backward(&slopes, &mut self.gradient);
            self.adam.step(&mut self.parameters, &self.gradient);
        }
        total
    }

    fn embed(&mut self, data: &Dataset, batch: usize) -> f64 {
        let all: Vec<usize> = (0..STEPS * batch).map(|i| i % data.train.len()).collect();
        let images = data.train.images.select(&all);
        let began = Instant::now();
        let sum: f32 = self.engine.embed(&self.parameters, &images).data().iter().sum();
        // Choosing the images is outside, as on the other side.
        let seconds = began.elapsed().as_secs_f64();
        if sum.is_finite() { seconds } else { f64::NAN }
    }
}

struct Peer {
    tier: Tier,
    seed: Learner,
    data: Dataset,
    gallery: Features,
    queries: Features,
}

impl Peer {
    fn new() -> Result<Peer, Box<dyn Error>> {
        let tier = Tier::from_env()?;
        let data_dir = std::env::var_os("ALIKE_DATA").map(Into::into);
        let data = load("mnist", &Places { data_dir, ..Places::default() }, &mut Quiet)?;
        let network = Network::new(SEED_SPEC.parse()?, data.shape())?;
        let parameters = initial(&network, 0);
        let mut engine = Engine::with_tier(&network, tier);
        let gallery = engine.embed(&parameters, &data.train.images);
        let queries = engine.embed(&parameters, &data.test.images);
        let seed = Learner::new(SEED_SPEC, tier, &data)?;
        Ok(Peer { tier, seed, data, gallery, queries })
    }

    fn search(&self, queries: Vectors<'_>, gallery: Vectors<'_>) -> usize {
        nearest(self.tier, queries, gallery, 5, false, |_, list| list[0].index).into_iter().sum()
    }

    /// Does a task; returns the seconds that it took.
    fn run(&mut self, task: &str) -> Option<f64> {
        let (train, test) =
            (Vectors::Pixels(&self.data.train.images), Vectors::Pixels(&self.data.test.images));
        let began = Instant::now();
        let result = match task {
            "neighbours-784" => self.search(test, train) as f64,
            "neighbours-32" => {
                self.search(Vectors::Features(&self.queries), Vectors::Features(&self.gallery)) as f64
            }
            "pca" => Pca::fit(self.tier, train, 2).variance.iter().sum(),
            "train-seed" => self.seed.train(&self.data, 192),
            "embed-seed" => return Some(self.seed.embed(&self.data, 256)),
            _ => return None,
        };
        // The result is looked at, so that nothing of it can be left out.
        Some(if result.is_finite() { began.elapsed().as_secs_f64() } else { f64::NAN })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(n) = std::env::var("THREADS").ok().and_then(|n| n.parse().ok()) {
        rayon::ThreadPoolBuilder::new().num_threads(n).build_global()?;
    }
    let mut peer = Peer::new()?;
    println!("ready {} instructions, {} threads", peer.tier.name(), rayon::current_num_threads());
    for task in std::io::stdin().lock().lines() {
        let task = task?;
        let Some(seconds) = peer.run(&task) else { return Err(format!("there is no task '{task}'").into()) };
        println!("{seconds}");
    }
    Ok(())
}
