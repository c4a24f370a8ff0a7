//! Search: which known images are nearest to each image.

use super::{GallerySummary, Known, Model, TaskError};
use crate::data::Dataset;
use crate::eval::Reference;
use crate::images::Vectors;
use crate::neighbours::{Exact, Neighbour, nearest};
use serde::Serialize;

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub struct SearchOptions {
    /// Neighbours of each image.
    pub k: usize,
    /// Whether images of the query's own group are left out.
    pub leave_group: bool,
}

/// The nearest known images.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchAnswer {
    /// What was searched.
    pub gallery: GallerySummary,
    /// The distance beyond which nothing counts as found, where there is one.
    pub within: Option<f64>,
    /// By image that was asked about, in order.
    pub queries: Vec<Found>,
}

/// What was found for an image.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Found {
    /// The image's name.
    pub query: String,
    /// Whether the run learned from it, so that its distances say little.
    pub trained_on: bool,
    /// The nearest first.
    pub neighbours: Vec<Match>,
}

/// A known image that is near.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Match {
    /// Its name.
    pub path: String,
    /// Its number, where it is of a collection.
    pub id: Option<i64>,
    /// Its class, if it has one.
    pub class: Option<String>,
    /// Its group, if it has one.
    pub group: Option<String>,
    /// The Euclidean distance of the embeddings.
    pub distance: f64,
    /// Whether the run learned from it, where that is known.
    pub trained_on: Option<bool>,
    /// Its index among the known images.
    #[serde(skip)]
    pub index: usize,
}

/// Finds the nearest known images of each image that is asked about.
///
/// # Errors
///
/// If an image cannot be embedded, or groups are to be left out and some image has none.
pub fn search(
    model: &Model,
    asked: &Dataset,
    known: &Known,
    options: SearchOptions,
) -> Result<SearchAnswer, TaskError> {
    let own = known.own(asked, options.leave_group)?;
    let (groups, _) = known.groups(options.leave_group)?;
    let trained = model.asked_of_trained(asked, Some(known));
    let queries = model.embed(&asked.train.images)?;
    let labels = vec![0; known.gallery.len()];
    let gallery = Vectors::Features(&known.gallery.features);
    let reference =
        Reference { groups: &groups, ..Reference::new(gallery, &labels, &known.gallery.identities) };
    let found: Vec<Vec<Neighbour>> = reference.leaving(Some(&own), |leave| {
        nearest(&Exact::new(gallery), Vectors::Features(&queries), options.k, leave, |_, list| list.to_vec())
    });
    let queries = asked.train.names.iter().zip(found.into_iter().zip(trained));
    let queries = queries.map(|(query, (list, trained_on))| Found {
        query: query.clone(),
        trained_on,
        neighbours: list.into_iter().map(|n| Match::new(known, n)).collect(),
    });
    Ok(SearchAnswer { gallery: known.summary(), within: None, queries: queries.collect() })
}

impl Match {
    pub(super) fn new(known: &Known, n: Neighbour) -> Match {
        Match {
            path: known.gallery.names[n.index].clone(),
            id: None,
            class: known.gallery.class(n.index).map(str::to_owned),
            group: known.gallery.groups.get(n.index).filter(|g| !g.is_empty()).cloned(),
            distance: n.distance,
            trained_on: known.trained(n.index),
            index: n.index,
        }
    }
}
