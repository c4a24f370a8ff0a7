//! Keeps a pool's threads spinning between passes.
//!
//! A step of training takes a few milliseconds, and its passes lie a few tens of microseconds apart: a pool's thread goes to sleep
//! in each gap, and takes longer to wake than a dozen images take to compute.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long is waited for the other threads to begin to spin.
const START_TIMEOUT: Duration = Duration::from_millis(1);

/// Held by the one piece of work that has spinning threads; two that wait for each other's threads would wait for ever.
static BUSY: Mutex<()> = Mutex::new(());

/// Runs `work` on one of the pool's threads while the others spin, ready for the tasks that it spawns.
///
/// If another call is running already, `work` runs without spinning threads: the result is the same, only later.
pub fn with_spinning_threads<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    rayon::scope(|scope| {
        let Ok(_only) = BUSY.try_lock() else { return work() };
        let others = rayon::current_num_threads() - 1;
        // Shared by all, and alive until the last spin has ended.
        let state = std::sync::Arc::new(State::default());
        for _ in 0..others {
            let state = state.clone();
            scope.spawn(move |_| state.spin());
        }
        let _end = End(&state);
        // This very thread could take up a spin that has not begun while it waits for something else, and would never return: from
        // here on such a spin returns at once.
        let began = Instant::now();
        while state.spinning.load(Ordering::SeqCst) < others && began.elapsed() < START_TIMEOUT {
            std::hint::spin_loop();
        }
        state.closed.store(true, Ordering::SeqCst);
        work()
    })
}

#[derive(Debug, Default)]
struct State {
    spinning: AtomicUsize,
    closed: AtomicBool,
    done: AtomicBool,
}

impl State {
    fn spin(&self) {
        if self.closed.load(Ordering::SeqCst) {
            return;
        }
        self.spinning.fetch_add(1, Ordering::SeqCst);
        while !self.done.load(Ordering::Relaxed) {
            if rayon::yield_now() != Some(rayon::Yield::Executed) {
                // Where threads outnumber cores, others must come to run.
                std::thread::yield_now();
            }
        }
    }
}

/// Ends the spins when dropped, however the work ends.
struct End<'a>(&'a State);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;

    #[test]
    fn work_is_done_with_any_number_of_threads_and_by_several_at_once() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let sums: Vec<u64> = (0..4u64)
                    .into_par_iter()
                    .map(|k| {
                        with_spinning_threads(|| {
                            (0..50)
                                .map(|_| (0..1000u64).into_par_iter().map(|i| i % (k + 2)).sum::<u64>())
                                .sum()
                        })
                    })
                    .collect();
                assert_eq!(sums[0], 25_000);
            });
        }
    }

    #[test]
    fn a_panic_of_the_work_does_not_leave_threads_spinning() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            pool.install(|| with_spinning_threads(|| panic!("on purpose")));
        }));
        assert!(result.is_err());
        assert_eq!(pool.install(|| with_spinning_threads(|| (0..100).into_par_iter().sum::<i32>())), 4950);
    }
}
