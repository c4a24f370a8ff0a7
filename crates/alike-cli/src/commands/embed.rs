//! `alike embed`.

use super::refuse_existing;
use crate::args::{EmbedArgs, Global};
use crate::printer::{json, line, note};
use crate::using::OpenModel;
use alike::gallery::Gallery;
use alike::tasks::embed;
use anyhow::ensure;

pub(crate) fn run(args: &EmbedArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(
        args.out.extension().is_some_and(|e| e == "npy"),
        "embeddings are written as a NumPy array; name a .npy file, not {}",
        args.out.display()
    );
    let [table, facts] = Gallery::files(&args.out);
    refuse_existing(&[&args.out, &table, &facts], args.force)?;
    let model = OpenModel::new(&args.encoder, global)?;
    let data = model.read(&args.paths)?;
    let answer = embed(&model, &data, &args.out)?;
    note(
        global,
        format!(
            "{} images, {} numbers each; their paths are in {}",
            answer.n,
            answer.d,
            answer.paths.display()
        ),
    );
    if global.json {
        return json(&answer);
    }
    line(args.out.display().to_string())
}
