//! Nearest neighbours by an [`Index`], produced a block of queries at a time and read by everything that needs them.

mod bound;
mod exact;
mod excluded;
mod frame;
mod index;
mod product;
mod ranks;

pub use exact::Exact;
pub use index::{Index, Neighbour, SureIndex, nearest, try_nearest};
pub use product::squared_distance;
pub use ranks::ranks_of_matches;

use crate::identity::Shared;

/// Which members of the gallery do not count for a query.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Exclude<'a> {
    /// All count.
    #[default]
    None,
    /// Queries and gallery are the same vectors, and a query is not its own neighbour.
    Itself,
    /// Those of the query's own group: what one camera, writer or session took. Where queries and gallery are the same
    /// vectors, that is the query itself too.
    Group {
        /// By query: its group.
        queries: &'a [u32],
        /// By member of the gallery: its group.
        gallery: &'a [u32],
    },
    /// Members that count for no query: those for which this holds, by member.
    Members(&'a [bool]),
    /// What either leaves out.
    Either(&'a Exclude<'a>, &'a Exclude<'a>),
}

impl<'a> Exclude<'a> {
    /// Queries that are members of the gallery are not their own neighbours.
    pub fn shared(shared: &'a Shared) -> Exclude<'a> {
        Exclude::Group { queries: &shared.queries, gallery: &shared.gallery }
    }

    /// [`Exclude::Itself`] if `yes`.
    pub fn itself(yes: bool) -> Exclude<'static> {
        if yes { Exclude::Itself } else { Exclude::None }
    }

    /// Whether a member does not count for a query.
    #[inline]
    pub fn covers(&self, query: usize, member: usize) -> bool {
        match self {
            Exclude::None => false,
            Exclude::Itself => query == member,
            Exclude::Group { queries, gallery } => queries[query] == gallery[member],
            Exclude::Members(out) => out[member],
            Exclude::Either(one, other) => one.covers(query, member) || other.covers(query, member),
        }
    }
}
