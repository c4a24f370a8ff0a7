//! Writes the seeds of every target, or of one, into `fuzz/corpus/TARGET/`, where cargo-fuzz begins; with files behind a target's
//! name, feeds them to it instead.

use alike_fuzz::{fuzz, targets};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [name, files @ ..] = &arguments[..]
        && !files.is_empty()
    {
        for file in files {
            match std::fs::read(file) {
                Ok(bytes) => fuzz(name, &bytes),
                Err(e) => {
                    eprintln!("error: {file}: {e}");
                    return ExitCode::FAILURE;
                }
            }
            println!("{file}: no harm done");
        }
        return ExitCode::SUCCESS;
    }
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    for target in targets().iter().filter(|t| arguments.first().is_none_or(|name| name == t.name)) {
        let folder = corpus.join(target.name);
        let seeds = (target.seeds)();
        for (i, seed) in seeds.iter().enumerate() {
            let file = folder.join(format!("seed-{i:03}"));
            if let Err(e) = std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(&file, seed)) {
                eprintln!("error: {}: {e}", file.display());
                return ExitCode::FAILURE;
            }
        }
        println!("{}: {} seeds", target.name, seeds.len());
    }
    ExitCode::SUCCESS
}
