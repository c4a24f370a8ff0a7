//! `alike embed`.

use super::refuse_existing;
use crate::args::{EmbedArgs, Global};
use crate::printer::{line, note};
use alike::engine::Engine;
use alike::files::Batch;
use alike::images::{Images, Shape};
use alike::train::Run;
use anyhow::{Context, bail};
use npyz::WriterBuilder;
use serde_json::json;
use std::path::{Path, PathBuf};

pub(crate) fn run(args: &EmbedArgs, global: &Global) -> anyhow::Result<()> {
    let table = args.out.with_extension("csv");
    refuse_existing(&[&args.out, &table], args.force)?;
    let checkpoint = Run::open(&args.run)?.best()?;
    let paths = expand(&args.paths)?;
    let shape = checkpoint.network.input();
    let mut data = Vec::with_capacity(paths.len() * shape.len());
    for path in &paths {
        data.extend(picture(path, shape, args.resize)?);
    }
    let mut engine = Engine::new(&checkpoint.network)?;
    let embeddings = engine.embed(&checkpoint.parameters, &Images::new(shape, data));
    let mut batch = Batch::default();
    batch.stage(&args.out, |out| {
        let dims = [embeddings.len() as u64, embeddings.d() as u64];
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(&dims).writer(out).begin_nd()?;
        writer.extend(embeddings.data().iter().copied())?;
        writer.finish()
    })?;
    batch.stage(&table, |out| {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["row", "path"])?;
        for (i, path) in paths.iter().enumerate() {
            csv.write_record([i.to_string(), path.display().to_string()])?;
        }
        csv.flush()
    })?;
    batch.commit()?;
    note(
        global,
        format!(
            "{} images, {} numbers each; their paths are in {}",
            paths.len(),
            embeddings.d(),
            table.display()
        ),
    );
    if global.json {
        let (n, d) = (embeddings.len(), embeddings.d());
        return line(json!({ "embeddings": args.out, "paths": table, "n": n, "d": d }).to_string());
    }
    line(args.out.display().to_string())
}

/// Folders become the pictures in them, by name; what is not a picture by its name is left out and counted.
fn expand(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for path in paths {
        if path.is_dir() {
            let mut inside: Vec<PathBuf> = std::fs::read_dir(path)
                .with_context(|| format!("cannot read {}", path.display()))?
                .map(|entry| Ok(entry?.path()))
                .collect::<std::io::Result<_>>()
                .with_context(|| format!("cannot read {}", path.display()))?;
            inside.retain(|p| p.is_file() && image::ImageFormat::from_path(p).is_ok());
            inside.sort();
            if inside.is_empty() {
                bail!("{} holds no pictures (PNG, JPEG, PGM, PPM)", path.display());
            }
            all.extend(inside);
        } else {
            all.push(path.clone());
        }
    }
    Ok(all)
}

fn picture(path: &Path, shape: Shape, resize: bool) -> anyhow::Result<Vec<u8>> {
    let mut picture = image::ImageReader::open(path)
        .with_context(|| format!("cannot read {}", path.display()))?
        .with_guessed_format()
        .with_context(|| format!("cannot read {}", path.display()))?
        .decode()
        .with_context(|| format!("{} is not a picture that can be read", path.display()))?;
    let (w, h) = (shape.w as u32, shape.h as u32);
    if (picture.width(), picture.height()) != (w, h) {
        if !resize {
            bail!(
                "{} is {} pixels high and {} wide, but the network takes {h} x {w}; give --resize to scale pictures",
                path.display(),
                picture.height(),
                picture.width()
            );
        }
        picture = picture.resize_exact(w, h, image::imageops::FilterType::Triangle);
    }
    match shape.c {
        1 => Ok(picture.to_luma8().into_raw()),
        3 => Ok(picture.to_rgb8().into_raw()),
        c => bail!("the network takes images of {c} channels, which no picture file has"),
    }
}
