//! How far searches are, for whoever waits for them.

use std::sync::atomic::{AtomicU64, Ordering};

static PAIRS: AtomicU64 = AtomicU64::new(0);

/// Pairs of a query and a member of its gallery that all searches of this process have compared so far. A bar that knows how many a task
/// compares can tell how far it is; no result depends on it.
pub fn pairs_compared() -> u64 {
    PAIRS.load(Ordering::Relaxed)
}

/// Queries have met members.
pub(super) fn compared(queries: usize, members: usize) {
    PAIRS.fetch_add(queries as u64 * members as u64, Ordering::Relaxed);
}
