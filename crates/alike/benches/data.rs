//! Alike's side of `bench/data.py`: reads one task a line, does it once, answers with the seconds that it took.

use alike::data::{DataPaths, Keep, Preparation, Quiet, Request, list, load, prepare_chunks};
use alike::engine::{Engine, with_spinning_threads};
use alike::files::FileError;
use alike::images::Images;
use alike::model::{Network, SEED_SPEC, initial};
use rayon::prelude::*;
use std::error::Error;
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What the program does: a folder of pictures becomes prepared images in a cache that was empty.
fn ours(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let cache = tempfile::tempdir()?;
    let paths =
        DataPaths { cache: Some(cache.path().to_owned()), keep: Keep::default(), ..DataPaths::default() };
    // The size that they have, whatever a chooser would say.
    let size = image::image_dimensions(first(folder)?)?;
    let prepare = format!("size={}x{},resize=exact", size.1, size.0).parse()?;
    let request = Request { what: folder.display().to_string(), prepare, ..Request::default() };
    let began = Instant::now();
    let data = load(&request, &paths, &mut Quiet)?;
    let seconds = began.elapsed().as_secs_f64();
    assert!(data.train.len() > data.test.len());
    Ok(seconds)
}

/// The same without survey and cache: listed, decoded, prepared, and let go.
fn decoded(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let size = image::image_dimensions(first(folder)?)?;
    let c = if folder.ends_with("photographs") { 3 } else { 1 };
    let preparation: Preparation = format!("size={}x{},channels={c},resize=exact", size.1, size.0).parse()?;
    let began = Instant::now();
    let listing = list(&folder.display().to_string().as_str().into(), &DataPaths::default(), &mut Quiet)?;
    let mut bytes = 0;
    let failures = prepare_chunks(&listing, &preparation, &mut Quiet, |chunk| {
        bytes += chunk.len();
        Ok::<(), String>(())
    })?;
    assert!(failures.is_empty() && bytes == listing.entries.len() * preparation.shape.len());
    Ok(began.elapsed().as_secs_f64())
}

fn first(folder: &Path) -> Result<PathBuf, Box<dyn Error>> {
    files(folder)?.into_iter().next().ok_or_else(|| "an empty folder".into())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut all = Vec::new();
    for class in std::fs::read_dir(folder)? {
        for file in std::fs::read_dir(class?.path())? {
            all.push(file?.path());
        }
    }
    Ok(all)
}

/// The decoders alone, in a loop over the files on all threads.
fn bare(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let began = Instant::now();
    let files = files(folder)?;
    let bytes: usize = files
        .par_iter()
        .map(|path| {
            let bytes = std::fs::read(path).unwrap_or_default();
            image::load_from_memory(&bytes).map_or(0, |picture| picture.as_bytes().len())
        })
        .sum();
    assert!(bytes > 0);
    Ok(began.elapsed().as_secs_f64())
}

/// Steps of the seed's network over images wherever they lie, in random order.
fn train(images: &Images) -> Result<f64, Box<dyn Error>> {
    let network = Network::new(SEED_SPEC.parse()?, images.shape())?;
    let parameters = initial(&network, 0);
    let mut engine = Engine::new(&network)?;
    let mut gradient = vec![0.0; parameters.len()];
    let began = Instant::now();
    with_spinning_threads(|| -> Result<(), FileError> {
        for step in 0..100 {
            let chosen: Vec<usize> = (0..192).map(|i| (step * 192 + i) * 7919 % images.len()).collect();
            let gradients = engine.forward(&parameters, images, &chosen)?.to_vec();
            engine.backward(images, &gradients, &mut gradient)?;
        }
        Ok(())
    })?;
    Ok(began.elapsed().as_secs_f64())
}

fn main() -> Result<(), Box<dyn Error>> {
    rayon::ThreadPoolBuilder::new().num_threads(2).build_global()?;
    // The same images twice: as `load` leaves them in the cache, and copied to memory.
    let cache = tempfile::tempdir()?;
    let paths = DataPaths { cache: Some(cache.path().to_owned()), ..DataPaths::default() };
    let mut at = None;
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let (task, folder) = line.split_once(' ').unwrap_or((&line, ""));
        let folder = Path::new(folder);
        let seconds = match task {
            "ours" => ours(folder)?,
            "decoded" => decoded(folder)?,
            "bare" => bare(folder)?,
            "train-cache" | "train-memory" => {
                if at.is_none() {
                    let data = load(&folder.display().to_string().as_str().into(), &paths, &mut Quiet)?;
                    let (stored, mut scratch, mut bytes) = (data.train.images, Vec::new(), Vec::new());
                    for i in 0..stored.len() {
                        bytes.extend_from_slice(stored.image(i, &mut scratch)?);
                    }
                    let memory = Images::new(stored.shape(), bytes);
                    at = Some((stored, memory));
                }
                let (stored, memory) = at.as_ref().ok_or("images")?;
                train(if task == "train-cache" { stored } else { memory })?
            }
            _ => return Err(format!("no task '{task}'").into()),
        };
        println!("{seconds}");
    }
    Ok(())
}
