//! All miners by name, a line each. The distance that a miner is defined over and the values that it takes stand in its own file.

use super::{Candidates, Mine, Tuples};
use crate::rng::Rng;
use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

macro_rules! miners {
    ($($name:literal $miner:ident($parameters:ident) $summary:literal;)*) => {
        /// A miner, by name, with the values of its parameters.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[non_exhaustive]
        pub enum Miner {
            $(
                #[doc = $summary]
                #[serde(rename = $name)]
                $miner(super::$parameters),
            )*
            /// A miner of one's own, see [`Miner::own`].
            #[serde(skip)]
            Own(OwnMiner),
        }

        impl Choice for Miner {
            const WHAT: &'static str = "miner";

            fn all() -> Vec<Miner> {
                vec![$(Miner::$miner(super::$parameters::default()),)*]
            }

            fn name(&self) -> String {
                match self {
                    $(Miner::$miner(_) => $name.to_owned(),)*
                    Miner::Own(own) => own.name.clone(),
                }
            }
        }

        impl Miner {
            /// What it does, in a line.
            pub fn summary(&self) -> &'static str {
                match self {
                    $(Miner::$miner(_) => $summary,)*
                    Miner::Own(_) => "a miner of one's own",
                }
            }

            fn mines(&self) -> &dyn Mine {
                match self {
                    $(Miner::$miner(miner) => miner,)*
                    Miner::Own(own) => &*own.miner,
                }
            }
        }
    };
}

miners! {
    "batch-hard" BatchHard(BatchHard) "the farthest positive and the nearest negative of each anchor";
    "batch-easy-hard" BatchEasyHard(BatchEasyHard) "one positive and one negative of each anchor, by strategy";
    "triplet-margin" TripletMargin(TripletMarginMiner) "triplets that violate a margin: all, hard, semihard, or the easy rest";
    "semi-hard" SemiHard(SemiHard) "negatives beyond the positive, but within a margin";
    "pair-margin" PairMargin(PairMargin) "positives farther and negatives nearer than a margin";
    "multi-similarity" MultiSimilarity(MultiSimilarityMiner) "pairs harder than the hardest of the other kind, by a margin";
    "distance-weighted" DistanceWeighted(DistanceWeighted) "negatives drawn so that their distances are uniform";
    "angular" Angular(AngularMiner) "triplets with a wide angle at the negative";
    "hdc" Hdc(Hdc) "the hardest share of all pairs of a batch";
    "uniform-histogram" UniformHistogram(UniformHistogram) "as many pairs from every range of distances";
    "hard-range" HardRange(HardRange) "hard pairs without the very hardest, which are likely mislabelled";
}

impl std::str::FromStr for Miner {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Miner, text::ChoiceError> {
        text::parse(s)
    }
}

impl Miner {
    /// A miner of one's own. Settings and run folders know it by `name`: letters, digits, `-` and `_`, and no name of a
    /// built-in miner.
    pub fn own(name: impl Into<String>, miner: impl Mine + 'static) -> Miner {
        Miner::Own(OwnMiner { name: name.into(), miner: Arc::new(miner) })
    }
}

impl Mine for Miner {
    fn mine(&self, candidates: &Candidates<'_>, rng: &mut Rng) -> Tuples {
        self.mines().mine(candidates, rng)
    }

    fn distance(&self) -> Option<crate::distance::Distance> {
        self.mines().distance()
    }

    fn refusal(&self) -> Option<String> {
        let own = if let Miner::Own(own) = self { Some(own) } else { None };
        let name = own.and_then(|own| text::refusal_of_own::<Miner>(&own.name));
        name.or_else(|| self.mines().refusal())
    }
}

/// A miner that is not built in, with the name that settings know it by. Two are equal if they are the same object.
#[derive(Clone)]
pub struct OwnMiner {
    name: String,
    miner: Arc<dyn Mine>,
}

impl std::fmt::Debug for OwnMiner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OwnMiner").field(&self.name).finish()
    }
}

impl PartialEq for OwnMiner {
    fn eq(&self, other: &OwnMiner) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.miner, &other.miner)
    }
}
