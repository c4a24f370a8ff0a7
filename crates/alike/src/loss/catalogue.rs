//! All losses by name, a line each. The facts about a loss and its formula stand in its own file.

use super::{Facts, LossFunction};
use crate::text::{self, Choice};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

macro_rules! losses {
    ($($name:literal $loss:ident $summary:literal;)*) => {
        /// A loss, by name, with the values of its parameters.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        #[non_exhaustive]
        pub enum Loss {
            $(
                #[doc = $summary]
                #[serde(rename = $name)]
                $loss(super::$loss),
            )*
            /// A loss of one's own, see [`Loss::own`].
            #[serde(skip)]
            Own(OwnLoss),
        }

        impl Choice for Loss {
            const WHAT: &'static str = "loss";

            fn all() -> Vec<Loss> {
                vec![$(Loss::$loss(super::$loss::default()),)*]
            }

            fn name(&self) -> String {
                match self {
                    $(Loss::$loss(_) => $name.to_owned(),)*
                    Loss::Own(own) => own.name.clone(),
                }
            }
        }

        impl Loss {
            /// What it is, in a line.
            pub fn summary(&self) -> &'static str {
                match self {
                    $(Loss::$loss(_) => $summary,)*
                    Loss::Own(_) => "a loss of one's own",
                }
            }

            /// The loss as a function: its facts, its parameters and its evaluation.
            pub fn function(&self) -> &dyn LossFunction {
                match self {
                    $(Loss::$loss(loss) => loss,)*
                    Loss::Own(own) => &*own.function,
                }
            }
        }
    };
}

losses! {
    "contrastive" Contrastive "positive pairs near, negative pairs beyond a margin (Hadsell 2006)";
    "triplet-margin" TripletMargin "the negative farther than the positive by a margin (Schroff 2015)";
    "margin" Margin "both kinds of pairs a margin away from a boundary that may be learned (Wu 2017)";
    "multi-similarity" MultiSimilarity "all hard pairs, the hardest most; a strong first choice (Wang 2019)";
    "circle" Circle "each pair weighted by how far it is from its optimum (Sun 2020)";
    "lifted-structure" LiftedStructure "each positive pair against the negatives of both its images (Song 2016)";
    "generalized-lifted-structure" GeneralizedLiftedStructure "a smooth batch-hard loss (Hermans 2017)";
    "n-pairs" NPairs "one pair of each class against all others (Sohn 2016)";
    "nca" Nca "the probability of nearest-neighbour classification (Goldberger 2004)";
    "nt-xent" NtXent "each positive pair against the anchor's negatives; two views without labels (Chen 2020)";
    "supervised-contrastive" SupCon "NT-Xent with any number of positives (Khosla 2020)";
    "tuplet-margin" TupletMargin "each positive, a margin of angle taken off, against all negatives (Yu 2019)";
    "angular" Angular "the angle at the negative (Wang 2017)";
    "intra-pair-variance" IntraPairVariance "pairs of a kind equally similar; to be added to another loss (Yu 2019)";
    "instance" Instance "every image a class of its own (Zheng 2020)";
    "snr-contrastive" SnrContrastive "contrastive over the signal-to-noise distance (Yuan 2019)";
    "fast-ap" FastAp "average precision over soft histograms; large batches (Cakir 2019)";
    "smooth-ap" SmoothAp "average precision with smooth ranks (Brown 2020)";
    "histogram" Histogram "that a negative pair is more similar than a positive one; nothing to choose (Ustinova 2016)";
    "ranked-list" RankedList "far positives and near negatives, weighted by violation (Wang 2019)";
    "pnp" Pnp "negatives that rank before positives (Li 2022)";
    "threshold-consistent-margin" ThresholdConsistentMargin "one threshold for all classes; to be added to another loss (Zhang 2023)";
    "dynamic-soft-margin" DynamicSoftMargin "triplets weighted by how many are easier (Zhang 2019)";
    "manifold" Manifold "random walks to a class's proxy (Aziere 2019)";
    "p2s-grad" P2sGrad "cosines to proxies as targets; nothing to choose (Zhang 2019)";
    "normalized-softmax" NormalizedSoftmax "cross-entropy over cosines to proxies (Zhai 2019)";
    "arcface" ArcFace "the same, the target's angle widened; many classes of few images (Deng 2019)";
    "subcenter-arcface" SubCenterArcFace "ArcFace with several proxies per class; noisy labels (Deng 2020)";
    "cosface" CosFace "the same, the target's cosine lowered (Wang 2018)";
    "sphereface" SphereFace "the same, the target's angle multiplied (Liu 2017)";
    "large-margin-softmax" LargeMarginSoftmax "SphereFace with proxies of any length (Liu 2016)";
    "proxy-nca" ProxyNca "NCA over proxies (Movshovitz-Attias 2017)";
    "proxy-anchor" ProxyAnchor "proxies as anchors, the batch their references; converges fast (Kim 2020)";
    "soft-triple" SoftTriple "several proxies per class, softly joined; classes of several looks (Qian 2019)";
    "vicreg" VicReg "two views alike, coordinates that vary and do not depend on each other; no labels (Bardes 2022)";
}

impl std::str::FromStr for Loss {
    type Err = text::ChoiceError;

    fn from_str(s: &str) -> Result<Loss, text::ChoiceError> {
        text::parse(s)
    }
}

impl Loss {
    /// A loss of one's own. Settings and run folders know it by `name`: letters, digits, `-` and `_`, and no name of a
    /// built-in loss.
    pub fn own(name: impl Into<String>, function: impl LossFunction + 'static) -> Loss {
        Loss::Own(OwnLoss { name: name.into(), function: Arc::new(function) })
    }

    /// What is true of it, whatever the batch.
    pub fn facts(&self) -> Facts {
        self.function().facts()
    }

    /// Why its name or its values are impossible, if they are.
    pub fn refusal(&self) -> Option<String> {
        let own = if let Loss::Own(own) = self { Some(own) } else { None };
        let name = own.and_then(|own| text::refusal_of_own::<Loss>(&own.name));
        let why = name.or_else(|| self.function().parameters().iter().find_map(super::Parameter::refusal))?;
        Some(format!("loss {}: {why}", self.name()))
    }
}

/// A loss that is not built in, with the name that settings know it by. Two are equal if they are the same object.
#[derive(Clone)]
pub struct OwnLoss {
    name: String,
    function: Arc<dyn LossFunction>,
}

impl std::fmt::Debug for OwnLoss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("OwnLoss").field(&self.name).finish()
    }
}

impl PartialEq for OwnLoss {
    fn eq(&self, other: &OwnLoss) -> bool {
        self.name == other.name && Arc::ptr_eq(&self.function, &other.function)
    }
}

/// Losses with weights, written `a + 0.5 * b:x=1`.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses(pub Vec<(f64, Loss)>);

impl From<Loss> for Losses {
    fn from(loss: Loss) -> Losses {
        Losses(vec![(1.0, loss)])
    }
}

/// A text is not a sum of losses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LossesError {
    /// What stands before a `*` is no finite number.
    #[error("'{weight}' in '{text}' is not a weight")]
    Weight {
        /// What stands there.
        weight: String,
        /// The whole text.
        text: String,
    },
    /// A term is not a loss.
    #[error(transparent)]
    Loss(#[from] text::ChoiceError),
    /// A loss has an impossible value.
    #[error("{0}")]
    Value(String),
}

impl std::str::FromStr for Losses {
    type Err = LossesError;

    fn from_str(text: &str) -> Result<Losses, LossesError> {
        let term = |term: &str| {
            let (weight, loss) = match term.split_once('*') {
                Some((weight, loss)) => {
                    let weight = weight.trim();
                    let number: Option<f64> = weight.parse().ok().filter(|w: &f64| w.is_finite());
                    let refused = || LossesError::Weight { weight: weight.to_owned(), text: text.to_owned() };
                    (number.ok_or_else(refused)?, loss)
                }
                None => (1.0, term),
            };
            let loss: Loss = loss.trim().parse()?;
            loss.refusal().map_or(Ok((weight, loss)), |why| Err(LossesError::Value(why)))
        };
        text.split(" + ").map(term).collect::<Result<_, _>>().map(Losses)
    }
}

impl std::fmt::Display for Losses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, (weight, loss)) in self.0.iter().enumerate() {
            let plus = if i > 0 { " + " } else { "" };
            let weight = if *weight == 1.0 { String::new() } else { format!("{weight} * ") };
            write!(f, "{plus}{weight}{}", text::write(loss))?;
        }
        Ok(())
    }
}
