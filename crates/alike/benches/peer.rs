//! Alike's side of `bench/compare.py`: reads one task a line, does it once, answers with the seconds that it took.
//!
//! Data are loaded before anything is timed, and a task's result is used, so that nothing is left out.

use alike::data::{DataPaths, Dataset, Quiet, load};
use alike::distance::Distance;
use alike::engine::{Engine, with_spinning_threads};
use alike::eval::Judge;
use alike::images::{Features, Images, Shape, Vectors, with_pixels};
use alike::loss::{Objective, ObjectiveSpec, TripletMargin, mean_triplet_loss};
use alike::model::{Network, SEED_SPEC, initial};
use alike::neighbours::{Exact, Exclude, nearest};
use alike::projection::Pca;
use alike::rng::{Purpose, RngExt, stream};
use alike::train::{Optimizer, OptimizerKind, groups};
use alike_kernels::Tier;
use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

/// A network with what a training step needs.
struct Learner {
    engine: Engine,
    parameters: Vec<f32>,
    gradient: Vec<f32>,
    optimizer: Optimizer,
}

/// Steps, and batches, that a task times together: one alone is over too soon.
fn steps() -> usize {
    std::env::var("STEPS").ok().and_then(|n| n.parse().ok()).unwrap_or(20)
}

/// The residual network of `bench/torch_peer.py`.
const RESIDUAL: &str = "conv(64) residual(norm(8) relu conv(64) norm(8) relu conv(64)) maxpool(2)
    residual(norm(8) relu conv(64) norm(8) relu conv(64)) maxpool(2)
    residual(norm(8) relu conv(64) norm(8) relu conv(64)) norm(8) relu gap linear(64)";

impl Learner {
    fn new(spec: &str, tier: Tier, shape: Shape) -> Result<Learner, Box<dyn Error>> {
        let network = Network::new(spec.parse()?, shape)?;
        let parameters = initial(&network, 0);
        let gradient = vec![0.0; parameters.len()];
        let adam: OptimizerKind = "adam".parse()?;
        let optimizer = Optimizer::new(adam, groups(&network, 0, 0.0, 1.0));
        Ok(Learner { engine: Engine::with_tier(&network, tier), parameters, gradient, optimizer })
    }

    /// Forward, a loss, backward and Adam; which images make a batch was settled before. Batches of threes have the
    /// triplet margin loss, others the mean square.
    fn train(&mut self, images: &Images, batch: usize) -> f64 {
        // As the training loop does: see `Training::run`.
        with_spinning_threads(|| self.steps(images, batch))
    }

    fn steps(&mut self, images: &Images, batch: usize) -> f64 {
        let loss = TripletMargin { margin: 1.0, ..TripletMargin::default() };
        let mut total = 0.0;
        for step in 0..steps() {
            let chosen: Vec<usize> = (0..batch).map(|i| (step * batch + i) * 17 % images.len()).collect();
            let embeddings =
                self.engine.forward(&self.parameters, images, &chosen).expect("images in memory");
            let d = embeddings.len() / batch;
            let mut embedding_gradients = vec![0.0; embeddings.len()];
            if batch.is_multiple_of(3) {
                total +=
                    mean_triplet_loss(&loss, Distance::Euclidean, embeddings, d, &mut embedding_gradients)
                        .loss;
            } else {
                let n = embeddings.len() as f32;
                embedding_gradients.iter_mut().zip(embeddings).for_each(|(s, e)| *s = 2.0 * e / n);
                total += f64::from(embeddings.iter().map(|e| e * e / n).sum::<f32>());
            }
            self.engine.backward(images, &embedding_gradients, &mut self.gradient).expect("images in memory");
            self.optimizer.step(1e-3, &mut self.parameters, &self.gradient);
        }
        total
    }

    fn embed(&mut self, images: &Images, batch: usize) -> f64 {
        let all: Vec<usize> = (0..steps() * batch).map(|i| i % images.len()).collect();
        let images = images.select(&all);
        let began = Instant::now();
        let sum: f32 =
            self.engine.embed(&self.parameters, &images).expect("images in memory").data().iter().sum();
        // Choosing the images is outside, as on the other side.
        let seconds = began.elapsed().as_secs_f64();
        if sum.is_finite() { seconds } else { f64::NAN }
    }
}

/// The losses of `bench/reference_losses.py`, over 512 embeddings of 64 numbers.
fn losses(task: &str, tier: Tier) -> Option<Objective> {
    let (losses, miner, classes) = match task {
        "loss-triplet" => ("triplet-margin:margin=0.2", Some("semi-hard"), 128),
        "loss-multi-similarity" => ("multi-similarity", None, 128),
        "loss-nt-xent" => ("nt-xent", None, 256),
        "loss-proxy-anchor" => ("proxy-anchor", None, 128),
        "loss-arcface" => ("arcface", None, 1000),
        "loss-fast-ap" => ("fast-ap", None, 128),
        _ => return None,
    };
    let spec = ObjectiveSpec {
        losses: losses.parse().ok()?,
        distance: None,
        reducer: None,
        miner: miner.and_then(|m| m.parse().ok()),
        regularizers: Vec::new(),
        memory: 0,
    };
    Objective::new(spec, classes, 64, 0, tier).ok()
}

/// Loss and miner, forward and backward, `STEPS` times.
fn time_loss(task: &str, mut objective: Objective) -> f64 {
    let mut rng = stream(0, Purpose::Mining, 0, 0);
    let x: Vec<f32> = (0..512 * 64).map(|_| rng.random::<f32>() - 0.5).collect();
    let label = |i: u32| match task {
        "loss-nt-xent" => i % 256,
        "loss-arcface" => i % 1000,
        _ => i / 4,
    };
    let labels: Vec<u32> = (0..512).map(label).collect();
    let (mut gradient, mut own) = (vec![0.0; x.len()], vec![0.0; objective.parameter_count()]);
    let began = Instant::now();
    let total: f64 = with_spinning_threads(|| {
        (0..steps()).map(|_| objective.evaluate(&x, &labels, &mut rng, &mut gradient, &mut own).loss).sum()
    });
    if total.is_finite() { began.elapsed().as_secs_f64() } else { f64::NAN }
}

/// 60,000 vectors of 64 numbers and 10,000 that ask, around ten centres, as `bench/compare.py` has them.
fn retrieve(data: &Dataset, tier: Tier) -> Option<f64> {
    let mut rng = stream(0, Purpose::Mining, 0, 0);
    let mut normal = || ((0..12).map(|_| rng.random::<f32>()).sum::<f32>()) - 6.0;
    let centres: Vec<f32> = (0..640).map(|_| normal()).collect();
    let mut around = |labels: &[u32]| -> Features {
        let each = labels.iter().flat_map(|l| &centres[*l as usize * 64..][..64]);
        Features::new(64, each.map(|c| c + 1.5 * normal()).collect())
    };
    let (gallery, queries) = (around(&data.train.labels), around(&data.test.labels));
    let began = Instant::now();
    let (g, q) = (Vectors::Features(&gallery), Vectors::Features(&queries));
    let report = Judge::new(&[1]).with_tier(tier).retrieval(data, g, q, &[1, 5, 10]).ok()?;
    (report.micro.map > 0.0).then(|| began.elapsed().as_secs_f64())
}

struct Peer {
    tier: Tier,
    seed: Learner,
    residual: Learner,
    /// 512 colour images of 32 x 32, of no meaning.
    colour: Images,
    data: Dataset,
    gallery: Features,
    queries: Features,
}

impl Peer {
    fn new() -> Result<Peer, Box<dyn Error>> {
        let tier = Tier::from_env()?;
        let data_dir = std::env::var_os("ALIKE_DATA").map(Into::into);
        let data = load(&"mnist".into(), &DataPaths { data_dir, ..DataPaths::default() }, &mut Quiet)?;
        let network = Network::new(SEED_SPEC.parse()?, data.shape())?;
        let parameters = initial(&network, 0);
        let mut engine = Engine::with_tier(&network, tier);
        let gallery = engine.embed(&parameters, &data.train.images)?;
        let queries = engine.embed(&parameters, &data.test.images)?;
        let seed = Learner::new(SEED_SPEC, tier, data.shape())?;
        let shape = Shape { h: 32, w: 32, c: 3 };
        let colour = Images::new(shape, (0..512 * shape.len()).map(|i| (i * i / 7 % 251) as u8).collect());
        let residual = Learner::new(RESIDUAL, tier, shape)?;
        Ok(Peer { tier, seed, residual, colour, data, gallery, queries })
    }

    fn search(&self, queries: Vectors<'_>, gallery: Vectors<'_>) -> usize {
        nearest(&Exact::with_tier(self.tier, gallery), queries, 5, Exclude::None, |_, list| list[0].index)
            .into_iter()
            .sum()
    }

    /// Does a task; returns the seconds that it took.
    fn run(&mut self, task: &str) -> Option<f64> {
        if let Some(objective) = losses(task, self.tier) {
            return Some(time_loss(task, objective));
        }
        if task == "retrieval" {
            return retrieve(&self.data, self.tier);
        }
        let began = Instant::now();
        let result = match task {
            "neighbours-784" => {
                let (train, test) = (&self.data.train.images, &self.data.test.images);
                with_pixels([test, train], |[test, train]| self.search(test, train)).ok()? as f64
            }
            "neighbours-32" => {
                self.search(Vectors::Features(&self.queries), Vectors::Features(&self.gallery)) as f64
            }
            "pca" => {
                with_pixels([&self.data.train.images], |[train]| Pca::fit_with_tier(self.tier, train, 2))
                    .ok()?
                    .variance
                    .iter()
                    .sum()
            }
            "train-seed" => self.seed.train(&self.data.train.images, 192),
            "embed-seed" => return Some(self.seed.embed(&self.data.train.images, 256)),
            "train-residual" => self.residual.train(&self.colour, 128),
            "embed-residual" => return Some(self.residual.embed(&self.colour, 128)),
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
