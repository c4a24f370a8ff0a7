//! How far long work is, for whoever waits for it. No result depends on it.
//!
//! Work that may take seconds opens a [`stage`] and says what it has done; a program that draws bars asks for the [`current_stage`] from
//! time to time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

static PAIRS: AtomicU64 = AtomicU64::new(0);
/// Stages that are open in this process, the outermost first.
static OPEN: Mutex<Vec<Arc<Counted>>> = Mutex::new(Vec::new());

/// Pairs of a query and a member of its gallery that all searches of this process have compared so far. A bar that knows how many a task
/// compares can tell how far it is.
pub fn pairs_compared() -> u64 {
    PAIRS.load(Ordering::Relaxed)
}

#[derive(Debug)]
struct Counted {
    name: &'static str,
    total: u64,
    done: AtomicU64,
    began: Instant,
}

impl Counted {
    fn report(&self) -> StageReport {
        StageReport {
            name: self.name,
            share: (self.done.load(Ordering::Relaxed) as f64 / self.total.max(1) as f64).min(1.0),
            elapsed: self.began.elapsed(),
        }
    }
}

/// A stage of work; it ends when this is dropped.
#[derive(Debug)]
#[must_use = "a stage ends when it is dropped"]
pub struct Stage(Arc<Counted>);

/// Begins a stage of work of so many steps.
pub fn stage(name: &'static str, total: usize) -> Stage {
    let counted = Counted { name, total: total as u64, done: AtomicU64::new(0), began: Instant::now() };
    let counted = Arc::new(counted);
    open().push(counted.clone());
    Stage(counted)
}

fn open() -> MutexGuard<'static, Vec<Arc<Counted>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stage {
    /// So many more steps are done; any thread may say so.
    pub fn advance(&self, by: usize) {
        self.0.done.fetch_add(by as u64, Ordering::Relaxed);
    }

    /// Queries have met members: steps of a stage whose steps are pairs.
    pub(crate) fn compared(&self, queries: usize, members: usize) {
        self.advance(queries * members);
        PAIRS.fetch_add(queries as u64 * members as u64, Ordering::Relaxed);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        open().retain(|other| !Arc::ptr_eq(other, &self.0));
    }
}

/// How far a stage is.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct StageReport {
    /// What is done.
    pub name: &'static str,
    /// The share that is done, from 0 to 1.
    pub share: f64,
    /// For how long.
    pub elapsed: Duration,
}

/// The stage that work is in: of stages within stages the outermost, which takes longest.
pub fn current_stage() -> Option<StageReport> {
    open().first().map(|stage| stage.report())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_tells_its_share_and_ends_when_dropped() {
        // Other tests may be at work, too.
        let seen = |name: &str| open().iter().any(|s| s.name == name);
        let outer = stage("outer of this test", 4);
        let inner = stage("inner of this test", 10);
        outer.advance(1);
        inner.compared(3, 5);
        assert!(seen("inner of this test") && current_stage().is_some());
        assert_eq!([outer.0.report().share, inner.0.report().share], [0.25, 1.0]);
        drop(inner);
        assert!(!seen("inner of this test") && seen("outer of this test"));
        drop(outer);
        assert!(!seen("outer of this test"));
    }
}
