//! Every parser of Alike as a function of bytes: what a stranger's file must not do is panic, take long, or take much memory.
//!
//! One list, [`targets`], serves two ways of fuzzing: the ordinary test `smoke`, which changes the seeds of each target in always the
//! same ways, and cargo-fuzz (`fuzz/` at the root), which learns from the program's paths.
//!
//! A refused input is fine. Files go into a folder of their own, and reach the library by its public functions.

#![forbid(unsafe_code)]

mod models;
mod mutate;
mod repair;
mod scratch;
mod seeds;
mod sources;
mod stores;
mod texts;

pub use mutate::Mutator;

use alike::limits::Limits;
use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;

/// A parser.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called: the name of its binary and of its corpus.
    pub name: &'static str,
    /// Feeds it bytes.
    run: fn(&[u8]),
    /// Inputs that are taken, which others are made from.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

/// All of them.
pub fn targets() -> Vec<Target> {
    let target = |name, run, seeds| Target { name, run, seeds };
    vec![
        target("spec", texts::spec, seeds::texts::spec),
        target("loss", texts::loss, seeds::texts::loss),
        target("augment", texts::augment, seeds::texts::augment),
        target("choice", texts::choice, seeds::texts::choice),
        target("toml", texts::toml, seeds::texts::toml),
        target("manifest", sources::manifest, seeds::sources::manifest),
        target("idx", sources::idx, seeds::sources::idx),
        target("npy", sources::npy, seeds::sources::npy),
        target("npz", sources::npz, seeds::sources::npz),
        target("zip", sources::zip, seeds::sources::zip),
        target("tar", sources::tar, seeds::sources::tar),
        target("cifar", sources::cifar, seeds::sources::cifar),
        target("parquet", sources::parquet, seeds::parquet::parquet),
        target("picture", sources::picture, seeds::pictures::all),
        target("checkpoint", models::checkpoint, seeds::models::checkpoint),
        target("gallery", models::gallery, seeds::models::gallery),
        target("cache", models::cache, seeds::models::cache),
        target("run", models::run, seeds::models::run),
        target("filter", stores::filter, seeds::stores::filter),
        target("codes", stores::codes, seeds::stores::codes),
        target("encoder", stores::encoder, seeds::stores::encoder),
    ]
}

/// What files may ask for here: little, so that a limit that is not kept is seen at once.
const LIMITS: &str = "pixels=1M,memory=32M,member=4M,unpacked=16M,model=16M,text=1M,array=16M,images=2K";

/// The first argument of a program that is to decode a Parquet file.
const DECODE: &str = "decode-parquet";

thread_local! {
    static INSIDE: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<String> = const { RefCell::new(String::new()) };
    /// All of a target's work is done by the thread that asks for it, in one order, so that an input does the same every time and
    /// whoever counts sees all of its memory. Kept as long as the program.
    static ALONE: &'static rayon::ThreadPool = Box::leak(Box::new(
        rayon::ThreadPoolBuilder::new()
            .num_threads(1)
            .use_current_thread()
            .build()
            .unwrap_or_else(|e| panic!("no pool of one thread: {e}")),
    ));
}

fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let limits: Limits = LIMITS.parse().unwrap_or_else(|e| panic!("{e}"));
        limits.install();
        // Decoders panic on damaged files, which the library catches: those are neither printed nor, as cargo-fuzz would have it, the end.
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if INSIDE.get() {
                SAID.set(info.to_string());
            } else {
                usual(info);
            }
        }));
    });
}

impl Target {
    /// Feeds it bytes, and tells of a panic that no file may cause.
    ///
    /// # Errors
    ///
    /// If it panicked: what it said, and where.
    pub fn attempt(&self, bytes: &[u8]) -> Result<(), String> {
        prepare();
        INSIDE.set(true);
        let done = catch_unwind(AssertUnwindSafe(|| ALONE.with(|pool| pool.install(|| (self.run)(bytes)))));
        INSIDE.set(false);
        done.map_err(|_| SAID.take())
    }
}

/// Makes this program the decoder of Parquet files too: started again by itself, it decodes one and ends. Where `ALIKE_FUZZ_DECODER` names a program that
/// starts sooner, it is that one. Not under the address sanitizer, which takes more memory than a decoder may.
pub fn decode_parquet_apart() {
    let arguments: Vec<_> = std::env::args_os().collect();
    match &arguments[..] {
        [_, what, request, _, path] if what == DECODE => {
            let done = alike::data::parquet::serve(&request.to_string_lossy(), path.as_ref());
            std::process::exit(done.is_err().into());
        }
        _ => {
            let named = std::env::var_os("ALIKE_FUZZ_DECODER").map(Into::into);
            let itself = || std::env::current_exe().unwrap_or_else(|e| panic!("a program has a path: {e}"));
            decode_parquet_by(named.unwrap_or_else(itself));
        }
    }
}

/// Names a program that calls [`decode_parquet_apart`] first of all.
pub fn decode_parquet_by(program: std::path::PathBuf) {
    alike::data::parquet::decode_by(program, vec![DECODE.into()]);
}

/// Feeds bytes to the target of a name, and ends the program if it panics: what cargo-fuzz calls a crash.
pub fn fuzz(name: &str, bytes: &[u8]) {
    thread_local!(static FOUND: Cell<Option<Target>> = const { Cell::new(None) });
    let target = FOUND.get().unwrap_or_else(|| {
        let found = targets().into_iter().find(|t| t.name == name);
        let found = found.unwrap_or_else(|| panic!("there is no target {name}"));
        FOUND.set(Some(found));
        found
    });
    if let Err(why) = target.attempt(bytes) {
        eprintln!("{name}: {why}");
        std::process::abort();
    }
}
