//! Decoders of others, which may panic on a damaged file, or never end, and must neither end the program nor keep it.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

/// A decoder's thread has the stack that a main thread has on most systems: decoders call themselves for what is nested.
const STACK: usize = 8 << 20;

thread_local! {
    static GUARDED: Cell<usize> = const { Cell::new(0) };
}

/// What `work` gives; nothing if it panicked. It may leave nothing behind that others see.
pub fn guarded<T>(work: impl FnOnce() -> T) -> Option<T> {
    GUARDED.set(GUARDED.get() + 1);
    let done = catch_unwind(AssertUnwindSafe(work));
    GUARDED.set(GUARDED.get() - 1);
    done.ok()
}

/// Whether a panic of this thread will be caught and told as an error of the file at hand: a program's panic hook need not print it.
pub fn is_guarded() -> bool {
    GUARDED.get() > 0
}

/// How long somebody waits for a decoder: so many ticks, and more of them for what it gets done meanwhile ([`Headway`]).
///
/// Ticks are counted, and no clocks compared: a program that was stopped, or a machine that slept, loses one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a tick is.
    pub tick: Duration,
    /// Ticks for a decoder that gets nothing done.
    pub ticks: u64,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience { tick: Duration::from_secs(1), ticks: 60 }
    }
}

/// What a decoder has got done: it counts, and whoever waits for it looks. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Headway(Arc<AtomicU64>);

impl Headway {
    /// Bytes for which somebody waits a tick longer.
    const BYTES: u64 = 1 << 20;
    /// Rows that count as much.
    const ROWS: u64 = 1000;

    /// So many bytes of the file were read.
    pub fn bytes(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// So many rows were given.
    pub fn rows(&self, n: u64) {
        self.bytes(n.saturating_mul(Headway::BYTES) / Headway::ROWS);
    }

    fn done(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a decoder gave nothing; a sentence about its file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GaveUp {
    /// It panicked.
    #[error("it is damaged: its decoder gave up")]
    Panicked,
    /// It was at work for so long, and got too little done.
    #[error("it is damaged: its decoder has not ended after {} s", .0.as_secs())]
    Stuck(Duration),
    /// The system had no thread for it.
    #[error("there is no thread for its decoder ({0})")]
    NoThread(io::Error),
}

/// What `work` gives in a thread of its own, as [`guarded`] does, if it ends while patience lasts.
///
/// A thread cannot be ended from outside: it may hold locks, and whatever it holds would stay held. So one that is stuck is abandoned. It goes on, with all that it
/// has, until its work ends or the program does; `work` may hold nothing that others wait for.
///
/// # Errors
///
/// If it panicked, or has not ended.
pub fn guarded_within<T: Send + 'static>(
    patience: Patience,
    headway: &Headway,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GaveUp> {
    let before = headway.done();
    let (done, given) = sync_channel(1);
    // Nobody takes what is given after patience has ended.
    let run = move || _ = done.send(guarded(work));
    thread::Builder::new().name("decoder".into()).stack_size(STACK).spawn(run).map_err(GaveUp::NoThread)?;
    let mut ticks: u32 = 0;
    let more = || headway.done().wrapping_sub(before) / Headway::BYTES;
    while u64::from(ticks) < patience.ticks.saturating_add(more()) {
        match given.recv_timeout(patience.tick) {
            Ok(given) => return given.ok_or(GaveUp::Panicked),
            Err(RecvTimeoutError::Disconnected) => return Err(GaveUp::Panicked),
            Err(RecvTimeoutError::Timeout) => ticks = ticks.saturating_add(1),
        }
    }
    Err(GaveUp::Stuck(patience.tick.saturating_mul(ticks)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const SHORT: Patience = Patience { tick: Duration::from_millis(10), ticks: 20 };

    #[test]
    fn a_panic_is_nothing_and_the_guard_ends_with_it() {
        assert!(!is_guarded());
        assert_eq!(guarded(|| guarded(is_guarded).unwrap()), Some(true));
        assert_eq!(guarded(|| -> u8 { panic!("a decoder's") }), None);
        assert!(!is_guarded());
    }

    #[test]
    fn a_thread_of_its_own_is_guarded_too() {
        let within = |work: fn() -> bool| guarded_within(Patience::default(), &Headway::default(), work);
        assert!(within(is_guarded).unwrap());
        assert!(matches!(within(|| panic!("a decoder's")), Err(GaveUp::Panicked)));
        assert!(!is_guarded());
    }

    #[test]
    fn what_does_not_end_is_stuck_and_headway_gives_it_time() {
        for (bytes, rows, ticks) in [(0, 0, 20), (5 << 20, 0, 25), ((3 << 20) - 1, 0, 22), (0, 3999, 23)] {
            // What was done before counts for nothing.
            let headway = Headway::default();
            headway.bytes(9 << 20);
            // The thread ends with the test.
            let (_open, wait) = channel::<()>();
            let counted = headway.clone();
            let work = move || {
                counted.bytes(bytes);
                counted.rows(rows);
                wait.recv().is_ok()
            };
            match guarded_within(SHORT, &headway, work) {
                Err(GaveUp::Stuck(time)) => assert_eq!(time, SHORT.tick * ticks),
                other => panic!("{other:?}"),
            }
        }
        let stuck = GaveUp::Stuck(Duration::from_secs(61)).to_string();
        assert_eq!(stuck, "it is damaged: its decoder has not ended after 61 s");
    }
}
