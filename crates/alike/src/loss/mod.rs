//! Loss functions: short formulas over distances, and the adapters that turn their derivatives into gradients.
//!
//! A formula takes one of three forms. [`RowLoss`] sees one anchor's distances to all references at a time: the batch
//! itself, other embeddings, or learned proxies. [`WholeLoss`] sees the matrix of all distances. [`TripletLoss`] sees a
//! triplet that the sampler made. (VICReg sees coordinates and takes none of them.) The formula says what its elements are; a
//! [`Reducer`] makes one number of them. Distances are smaller when nearer, and cosines of the literature are `1 - d`.
//!
//! What is true of a loss stands beside its formula, in its implementation of [`LossFunction`]. [`Loss`] lists all losses by
//! name, with the values of their papers, and takes losses of one's own; [`Objective`] is what training minimises: losses, a
//! miner, regularisers and a memory.

mod catalogue;
mod evaluation;
mod function;
mod objective;

mod row;
mod tuple;
mod whole;

mod math;
mod memory;
mod reduce;
mod regularize;

mod cosine_softmax;
mod triplet_swap;

mod angular;
mod arc_face;
mod circle;
mod contrastive;
mod cos_face;
mod dynamic_soft_margin;
mod fast_ap;
mod generalized_lifted_structure;
mod histogram;
mod instance;
mod intra_pair_variance;
mod large_margin_softmax;
mod lifted_structure;
mod manifold;
mod margin;
mod multi_similarity;
mod n_pairs;
mod nca;
mod normalized_softmax;
mod nt_xent;
mod p2s_grad;
mod pnp;
mod proxy_anchor;
mod proxy_nca;
mod ranked_list;
mod smooth_ap;
mod snr_contrastive;
mod soft_triple;
mod sphere_face;
mod sub_center_arc_face;
mod sup_con;
mod tcm;
mod triplet_margin;
mod tuplet_margin;
mod vic_reg;

pub use angular::Angular;
pub use arc_face::ArcFace;
pub use circle::Circle;
pub use contrastive::Contrastive;
pub use cos_face::CosFace;
pub use dynamic_soft_margin::DynamicSoftMargin;
pub use fast_ap::FastAp;
pub use generalized_lifted_structure::GeneralizedLiftedStructure;
pub use histogram::Histogram;
pub use instance::Instance;
pub use intra_pair_variance::IntraPairVariance;
pub use large_margin_softmax::LargeMarginSoftmax;
pub use lifted_structure::LiftedStructure;
pub use manifold::Manifold;
pub use margin::Margin;
pub use multi_similarity::MultiSimilarity;
pub use n_pairs::NPairs;
pub use nca::Nca;
pub use normalized_softmax::NormalizedSoftmax;
pub use nt_xent::NtXent;
pub use p2s_grad::P2sGrad;
pub use pnp::{Pnp, PnpVariant};
pub use proxy_anchor::ProxyAnchor;
pub use proxy_nca::ProxyNca;
pub use ranked_list::RankedList;
pub use smooth_ap::SmoothAp;
pub use snr_contrastive::SnrContrastive;
pub use soft_triple::SoftTriple;
pub use sphere_face::SphereFace;
pub use sub_center_arc_face::{SubCenterArcFace, outliers};
pub use sup_con::SupCon;
pub use tcm::ThresholdConsistentMargin;
pub use triplet_margin::TripletMargin;
pub use tuplet_margin::TupletMargin;
pub use vic_reg::VicReg;

pub use catalogue::{Loss, Losses, LossesError, OwnLoss};
pub use evaluation::{Evaluation, Gradients, State};
pub use function::{Facts, LossFunction, Measure, Parameter, Range};
pub use memory::Memory;
pub use objective::{Objective, ObjectiveError, ObjectiveSpec, parse_regularizer};
pub use reduce::{ClassWeighted, Elements, Reducer, Reducers, Threshold};
pub use regularize::{LpLength, Regularizer};
pub use row::{Row, RowLoss, RowOut, TupleUse, elements, evaluate_row_loss};
pub use tuple::{TripletLoss, TripletTerm, mean_triplet_loss};
pub use whole::{Whole, WholeLoss, WholeOut};

use function::{MOST_BINS, MOST_PROXIES};

use crate::mining::Tuples;

/// The value of a loss over a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossReport {
    /// The loss.
    pub loss: f64,
    /// The share of elements that are not zero.
    pub active: f64,
    /// The mean distance of positive pairs, or of images to the proxies of their class.
    pub d_ap: f64,
    /// The mean distance of negative pairs, or of images to other proxies.
    pub d_an: f64,
}

/// A batch of `n x d` embeddings and what they are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `n x d` floats.
    pub embeddings: &'a [f32],
    /// The embedding dimension.
    pub d: usize,
    /// `n` labels.
    pub labels: &'a [u32],
    /// What anchors are compared with; the batch itself if nothing.
    pub references: Option<References<'a>>,
    /// Which pairs and triplets count.
    pub tuples: &'a Tuples,
}

/// Embeddings apart from the batch.
#[derive(Clone, Copy, Debug)]
pub struct References<'a> {
    /// `m x d` floats.
    pub embeddings: &'a [f32],
    /// `m` labels.
    pub labels: &'a [u32],
    /// The position of the batch's first image among the references, a ring of `m`, where the batch is part of them.
    pub own: Option<usize>,
}

impl Batch<'_> {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The position of an anchor among its references, if it is one.
    pub fn itself(&self, anchor: usize) -> Option<usize> {
        match &self.references {
            None => Some(anchor),
            Some(r) => r.own.map(|own| (own + anchor) % r.labels.len().max(1)),
        }
    }
}
