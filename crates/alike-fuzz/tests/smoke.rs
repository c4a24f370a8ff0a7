//! Every parser takes always the same strange inputs: none panics, takes long, or takes more memory than files may ask for.
//!
//! `ALIKE_FUZZ=N` makes N times as many.

use alike_fuzz::{Mutator, Target, decode_parquet_by, targets};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// All inputs follow from it.
const SEED: u64 = 1;
/// Processor time of an input, in a debug build.
const LONGEST: Duration = Duration::from_secs(5);
/// After so much time on the clock an input is said to hang.
const PATIENCE: u64 = 300;
/// Bytes that an input may take at once. Limits are lowered to 32 MiB at most (`LIMITS` in the library); copies come on top.
const MOST: u64 = 160 << 20;

/// What this thread has worked so far, and the processes that were started; the clock where that is not told.
fn worked(since: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|t| t.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| since.elapsed(), Duration::from_nanos) + by_others()
}

/// What processes have worked that this one started, and that have ended: only Parquet has any.
fn by_others() -> Duration {
    let told = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name, which is in brackets: the state, and as 13th and 14th the hundredths of seconds in user and in system mode.
    let fields = told.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|t| t.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

/// Ends the tests when an input takes too long: nothing else could.
fn watched(target: &'static str, file: PathBuf) -> Arc<AtomicU64> {
    let done = Arc::new(AtomicU64::new(0));
    let seen = Arc::downgrade(&done);
    std::thread::spawn(move || {
        let (mut before, mut since) = (u64::MAX, Instant::now());
        while let Some(done) = seen.upgrade() {
            let now = done.load(Ordering::Relaxed);
            if now != before {
                (before, since) = (now, Instant::now());
            } else if since.elapsed().as_secs() > PATIENCE {
                eprintln!("{target}: input {now} hangs; it lies in {}", file.display());
                std::process::abort();
            }
            drop(done);
            std::thread::sleep(Duration::from_secs(1));
        }
    });
    done
}

fn smoke(name: &'static str, inputs: u64) {
    decode_parquet_by(env!("CARGO_BIN_EXE_decode-parquet").into());
    let target: Target = targets().into_iter().find(|t| t.name == name).unwrap();
    let times = std::env::var("ALIKE_FUZZ").ok().and_then(|n| n.parse::<u64>().ok()).unwrap_or(1);
    let seeds = (target.seeds)();
    // It is there before it is fed, whatever becomes of the program.
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
    let mut current = std::fs::File::create(&file).unwrap();
    let done = watched(name, file.clone());
    let mut mutator = Mutator::new(SEED, name);
    let (begin, mut slowest, mut largest) = (Instant::now(), Duration::ZERO, 0);
    for i in 0..inputs * times + seeds.len() as u64 {
        // The seeds come first, as they are.
        let input = seeds.get(i as usize).cloned().unwrap_or_else(|| mutator.input(&seeds));
        current.set_len(input.len() as u64).unwrap();
        current.rewind().unwrap();
        current.write_all(&input).unwrap();
        let before = worked(begin);
        let mut outcome = Ok(());
        let memory = allocation_counter::measure(|| outcome = target.attempt(&input)).bytes_max;
        let took = worked(begin).saturating_sub(before);
        let where_ = || format!("{name}, seed {SEED}, input {i}, which lies in {}", file.display());
        if let Err(why) = outcome {
            panic!("{}: {why}", where_());
        }
        // What is made once, for the first input, does not count.
        if i > 0 {
            assert!(took < LONGEST, "{}: it took {took:?}", where_());
            assert!(memory < MOST, "{}: it took {} MiB", where_(), memory >> 20);
            (slowest, largest) = (slowest.max(took), largest.max(memory));
        }
        done.fetch_add(1, Ordering::Relaxed);
    }
    std::fs::remove_file(file).unwrap();
    println!(
        "{name}: {} inputs in {:.1} s, {} ms and {} KiB at most",
        inputs * times,
        begin.elapsed().as_secs_f64(),
        slowest.as_millis(),
        largest >> 10
    );
}

/// A test a target, with how many inputs it is given: about two seconds' worth.
macro_rules! smoke {
    ($($(#[$when:meta])? $name:ident $inputs:expr),* $(,)?) => {
        $($(#[$when])?
        #[test]
        fn $name() {
            smoke(stringify!($name), $inputs);
        })*

        #[test]
        fn every_target_has_a_test_and_a_binary_for_cargo_fuzz() {
            let tested = [$(stringify!($name)),*];
            let manifest = include_str!("../../../fuzz/Cargo.toml");
            for target in targets() {
                let name = target.name;
                assert!(tested.contains(&name), "{name} has no smoke test");
                assert!(manifest.contains(&format!("name = \"{name}\"")), "fuzz/Cargo.toml has no {name}");
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fuzz/fuzz_targets/{name}.rs"));
                let text = std::fs::read_to_string(file).unwrap();
                assert!(text.contains(&format!("fuzz(\"{name}\", data)")), "{name}: {text}");
            }
        }
    };
}

smoke! {
    spec 4000,
    loss 4000,
    augment 6000,
    choice 8000,
    toml 6000,
    manifest 5000,
    idx 4000,
    npy 4000,
    npz 6000,
    zip 6000,
    tar 4000,
    cifar 2000,
    parquet 1500,
    picture 4000,
    checkpoint 4000,
    gallery 6000,
    cache 1200,
    run 2000,
    filter 6000,
    codes 3000,
    encoder 4000,
}
