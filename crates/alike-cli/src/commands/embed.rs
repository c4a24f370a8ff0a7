//! `alike embed`.

use super::refuse_existing;
use crate::args::{EmbedArgs, Global};
use crate::printer::{line, note};
use crate::using::Model;
use alike::files::Batch;
use alike::gallery::Gallery;
use anyhow::ensure;
use serde_json::json;

pub(crate) fn run(args: &EmbedArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(
        args.out.extension().is_some_and(|e| e == "npy"),
        "embeddings are written as a NumPy array; name a .npy file, not {}",
        args.out.display()
    );
    let [table, facts] = Gallery::files(&args.out);
    refuse_existing(&[&args.out, &table, &facts], args.force)?;
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let data = model.pictures(&args.paths)?;
    let gallery = model.gallery(&data, &data.train)?;
    let mut batch = Batch::default();
    gallery.stage(&args.out, &mut batch)?;
    batch.commit()?;
    let (n, d) = (gallery.len(), gallery.features.d());
    note(global, format!("{n} images, {d} numbers each; their paths are in {}", table.display()));
    if global.json {
        let facts =
            json!({ "embeddings": args.out, "paths": table, "model": gallery.fingerprint, "n": n, "d": d });
        return line(facts.to_string());
    }
    line(args.out.display().to_string())
}
