//! Decoders of others, which may panic on a damaged file, and must not end the program.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_nothing_and_the_guard_ends_with_it() {
        assert!(!is_guarded());
        assert_eq!(guarded(|| guarded(is_guarded).unwrap()), Some(true));
        assert_eq!(guarded(|| -> u8 { panic!("a decoder's") }), None);
        assert!(!is_guarded());
    }
}
