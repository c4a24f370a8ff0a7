//! What a file may ask for: limits that are checked before memory is taken, so that no input's word is believed.
//!
//! A limit belongs to the process: one set of them holds for all that is read, from the first file on. An error names the limit, what
//! asked for how much, and the flag that raises it. Memory for decoding is handed out by a [`Room`], to all threads together.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// What is limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Limit {
    /// Pixels of a picture.
    Pixels,
    /// Bytes that decoding takes, of all threads together.
    Memory,
    /// Bytes of a member of an archive.
    Member,
    /// Bytes that an archive is unpacked to.
    Unpacked,
    /// Bytes of a network: its weights and what it computes of an image; and of the file that holds one.
    Model,
    /// Bytes of a text: a table, settings, a specification.
    Text,
    /// Bytes of a file of numbers: arrays, galleries.
    Array,
    /// Images of one archive, array or table.
    Images,
}

const KIB: u64 = 1 << 10;

impl Limit {
    const ALL: [Limit; 8] = [
        Limit::Pixels,
        Limit::Memory,
        Limit::Member,
        Limit::Unpacked,
        Limit::Model,
        Limit::Text,
        Limit::Array,
        Limit::Images,
    ];
    /// As they are written, in the order of the enum.
    pub const NAMES: [&str; 8] =
        ["pixels", "memory", "member", "unpacked", "model", "text", "array", "images"];
    const USUAL: [u64; 8] =
        [256_000_000, 1 << 30, 256 << 20, 16 << 30, 4 << 30, 64 << 20, 1 << 30, 2_000_000];

    fn name(self) -> &'static str {
        Limit::NAMES[self as usize]
    }

    /// Of what it is the most.
    fn of(self) -> &'static str {
        match self {
            Limit::Pixels => "the pixels of a picture",
            Limit::Memory => "the memory of decoding",
            Limit::Member => "a member of an archive",
            Limit::Unpacked => "an unpacked archive",
            Limit::Model => "a model",
            Limit::Text => "a text",
            Limit::Array => "an array",
            Limit::Images => "the images of a file",
        }
    }

    /// What a `K` is: things are counted in thousands, bytes are not.
    fn kilo(self) -> u64 {
        if matches!(self, Limit::Pixels | Limit::Images) { 1000 } else { KIB }
    }

    /// So much as a person writes it, rounded up: whoever types it is let through.
    fn shown(self, n: u64) -> String {
        let kilo = self.kilo();
        let (mut n, mut unit) = (n, "");
        for next in ["K", "M", "G"] {
            // Three digits at least, so that rounding adds little.
            if n < 1000 * kilo && !n.is_multiple_of(kilo) || n < kilo {
                break;
            }
            (n, unit) = (n.div_ceil(kilo), next);
        }
        format!("{n}{unit}")
    }

    fn read(self, text: &str) -> Option<u64> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
        let power = match text[digits.len()..].to_ascii_uppercase().as_str() {
            "" => 0,
            "K" => 1,
            "M" => 2,
            "G" => 3,
            _ => return None,
        };
        let unit = u128::from(self.kilo().pow(power));
        let n = u128::from(digits.parse::<u64>().ok()?) * unit;
        // What was rounded up from the most that there is may be a little more.
        (1..=u128::from(u64::MAX) + unit).contains(&n).then(|| u64::try_from(n).unwrap_or(u64::MAX))
    }

    /// The most that is let through.
    pub fn most(self) -> u64 {
        CURRENT[self as usize].load(Ordering::Relaxed)
    }

    /// Refuses what is more. `what` is a sentence that asks: "it claims 9 x 9 pixels".
    ///
    /// # Errors
    ///
    /// With the limit, what asked for how much, and the flag that raises it.
    pub fn check(self, asked: u64, what: impl FnOnce() -> String) -> Result<(), LimitError> {
        let most = self.most();
        if asked <= most {
            Ok(())
        } else {
            Err(LimitError { limit: self, asked: Some(asked), most, what: what() })
        }
    }

    /// The error of what turned out to be more, nobody knows by how much.
    pub fn exceeded(self, what: impl Into<String>) -> LimitError {
        LimitError { limit: self, asked: None, most: self.most(), what: what.into() }
    }
}

/// A file asks for more than it may have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what}{}; the limit for {} is {}: --limit {}={} raises it",
    asked.map_or(String::new(), |n| format!(", {}", limit.shown(n))),
    limit.of(), limit.shown(*most), limit.name(), limit.shown(asked.unwrap_or(most.saturating_mul(2)))
)]
pub struct LimitError {
    limit: Limit,
    asked: Option<u64>,
    most: u64,
    what: String,
}

impl From<LimitError> for std::io::Error {
    fn from(e: LimitError) -> std::io::Error {
        std::io::Error::other(e)
    }
}

static CURRENT: [AtomicU64; 8] = {
    let mut all = [const { AtomicU64::new(0) }; 8];
    let mut i = 0;
    while i < 8 {
        all[i] = AtomicU64::new(Limit::USUAL[i]);
        i += 1;
    }
    all
};

/// All limits: the usual ones, and those that a user set. Written `pixels=1000M,memory=4G`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits([u64; 8]);

impl Default for Limits {
    fn default() -> Limits {
        Limits(Limit::USUAL)
    }
}

impl FromStr for Limits {
    type Err = String;

    fn from_str(text: &str) -> Result<Limits, String> {
        let mut limits = Limits::default();
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let Some(limit) = Limit::ALL.into_iter().find(|l| l.name() == name.trim()) else {
                let hint = crate::suggest::did_you_mean(name.trim(), Limit::NAMES);
                return Err(format!(
                    "there is no limit '{name}'{hint} (limits: {})",
                    Limit::NAMES.join(", ")
                ));
            };
            let n = limit.read(value.trim());
            limits.0[limit as usize] = n.ok_or_else(|| {
                format!("{name} is a whole number above 0, as in {name}=512M, not '{value}'")
            })?;
        }
        Ok(limits)
    }
}

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each: Vec<String> =
            Limit::ALL.iter().map(|l| format!("{}={}", l.name(), l.shown(self.0[*l as usize]))).collect();
        f.write_str(&each.join(","))
    }
}

impl Limits {
    /// Makes them those of the process. To be called before anything is read.
    pub fn install(self) {
        CURRENT.iter().zip(self.0).for_each(|(to, from)| to.store(from, Ordering::Relaxed));
    }
}

/// Those of some limits that a user set, as they are written; empty where all are the usual ones.
pub(crate) fn unusual(of: &[Limit]) -> String {
    let set = of.iter().filter(|l| l.most() != Limit::USUAL[**l as usize]);
    set.map(|l| format!("{}={}\n", l.name(), l.most())).collect()
}

/// A picture that is alone may take so much, where [`Limit::Memory`] is not larger: a panorama, however it is stored.
const ALONE: u64 = 1792 << 20;

/// The most that one picture may take: see [`Room`].
pub fn alone() -> u64 {
    Limit::Memory.most().max(ALONE)
}

/// Bytes that are handed out to all threads together. Who asks for more than is left waits; who asks for more than there is waits until
/// nobody else has any, and is alone. All are served in the order in which they asked, so that nobody waits forever.
///
/// A thread that has some must not ask the same room for more: two that did would wait for each other.
#[derive(Debug, Default)]
pub struct Room {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    used: u64,
    /// The number that the next who asks is given, and the number that is served.
    next: u64,
    serving: u64,
}

/// Memory for decoding.
pub static DECODING: Room = Room::new();
/// Memory for files that wait to be decoded, which is asked for before [`DECODING`].
pub static READING: Room = Room::new();
/// Memory for pictures that are kept to be compared, which is asked for before [`READING`].
pub static COMPARING: Room = Room::new();

impl Room {
    /// A room that nobody uses.
    pub const fn new() -> Room {
        Room { state: Mutex::new(State { used: 0, next: 0, serving: 0 }), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Numbers are whole even if a thread panicked beside them.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for so many bytes of `most`.
    pub fn take(&self, bytes: u64, most: u64) -> Held<'_> {
        let mut state = self.state();
        let number = state.next;
        state.next += 1;
        while state.serving != number || (state.used > 0 && state.used.saturating_add(bytes) > most) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.serving += 1;
        state.used += bytes;
        drop(state);
        self.changed.notify_all();
        Held { room: self, bytes }
    }
}

/// Bytes of a room, given back when this is dropped.
#[derive(Debug)]
pub struct Held<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Held<'_> {
    /// How many.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.room.state().used -= self.bytes;
        self.room.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn limits_are_read_and_an_error_says_what_lets_it_through() {
        let limits: Limits = "pixels=1000M, memory=4g".parse().unwrap();
        assert_eq!((limits.0[0], limits.0[1], limits.0[2]), (1_000_000_000, 4 << 30, 256 << 20));
        assert_eq!(limits.to_string().parse::<Limits>().unwrap(), limits);
        for (text, why) in [
            ("pixel=3", "did you mean 'pixels'"),
            ("pixels", "pixels=512M"),
            ("pixels=0", "above 0"),
            ("memory=3Q", "not '3Q'"),
            ("memory=18446744073709551615G", "whole number"),
        ] {
            let error = text.parse::<Limits>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
        let error =
            Limit::Pixels.check(65_500 * 65_500, || "it claims 65500 x 65500 pixels".into()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "it claims 65500 x 65500 pixels, 4291M; the limit for the pixels of a picture is 256M: --limit pixels=4291M raises it"
        );
        for n in [1, 999, 1024, 1025, 300 << 20, (300 << 20) + 1, 7 << 50, u64::MAX >> 1, u64::MAX] {
            for limit in Limit::ALL {
                let enough = limit.read(&limit.shown(n)).unwrap();
                assert!(enough >= n && enough - n <= n / 100 + 1, "{n} {limit:?}: {enough}");
            }
        }
        assert!(Limit::Member.exceeded("it is large").to_string().contains("--limit member=512M"));
    }

    #[test]
    fn a_room_is_never_overfull_but_for_one_who_is_alone() {
        let room = Room::new();
        let (used, worst) = (AtomicUsize::new(0), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4usize {
                let (room, used, worst) = (&room, &used, &worst);
                scope.spawn(move || {
                    for i in 0..200usize {
                        // One in ten asks for more than there is.
                        let bytes = if (i + thread) % 10 == 0 { 250 } else { 10 + 13 * thread };
                        let held = room.take(bytes as u64, 100);
                        let now = used.fetch_add(bytes, Ordering::SeqCst) + bytes;
                        assert!(now <= 100 || now == 250, "{now} at once");
                        worst.fetch_max(now, Ordering::SeqCst);
                        used.fetch_sub(bytes, Ordering::SeqCst);
                        drop(held);
                    }
                });
            }
        });
        assert_eq!(room.state().used, 0);
        assert_eq!(worst.load(Ordering::SeqCst), 250);
    }
}
