//! Alike's side of `bench/compare.py`: reads one task a line, does it once, answers with the seconds that it took.
//!
//! Data are loaded before anything is timed, and a task's result is used, so that nothing is left out.

use alike::data::{Dataset, Places, Quiet, load};
use alike::engine::Engine;
use alike::images::{Features, Vectors};
use alike::model::{Network, SEED_SPEC, initial};
use alike::neighbours::nearest;
use alike::projection::Pca;
use alike_kernels::Tier;
use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

struct Peer {
    tier: Tier,
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
        Ok(Peer { tier, data, gallery, queries })
    }

    fn search(&self, queries: Vectors<'_>, gallery: Vectors<'_>) -> usize {
        nearest(self.tier, queries, gallery, 5, false, |_, list| list[0].index).into_iter().sum()
    }

    /// Does a task; returns a number that depends on all of its result.
    fn run(&self, task: &str) -> Option<f64> {
        let (train, test) =
            (Vectors::Pixels(&self.data.train.images), Vectors::Pixels(&self.data.test.images));
        match task {
            "neighbours-784" => Some(self.search(test, train) as f64),
            "neighbours-32" => {
                Some(self.search(Vectors::Features(&self.queries), Vectors::Features(&self.gallery)) as f64)
            }
            "pca" => Some(Pca::fit(self.tier, train, 2).variance.iter().sum()),
            _ => None,
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let peer = Peer::new()?;
    println!("ready {} instructions, {} threads", peer.tier.name(), rayon::current_num_threads());
    for task in std::io::stdin().lock().lines() {
        let task = task?;
        let began = Instant::now();
        let Some(result) = peer.run(&task) else { return Err(format!("there is no task '{task}'").into()) };
        println!("{} {result}", began.elapsed().as_secs_f64());
    }
    Ok(())
}
