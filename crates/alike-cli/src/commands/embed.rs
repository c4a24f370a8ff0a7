//! `alike embed`.

use super::{places, refuse_existing, remark};
use crate::args::{EmbedArgs, Global, OnErrorArg};
use crate::printer::{Bars, line, note};
use alike::data::load_pictures;
use alike::engine::Engine;
use alike::files::Batch;
use alike::train::Run;
use npyz::WriterBuilder;
use serde_json::json;

pub(crate) fn run(args: &EmbedArgs, global: &Global) -> anyhow::Result<()> {
    let table = args.out.with_extension("csv");
    refuse_existing(&[&args.out, &table], args.force)?;
    let checkpoint = Run::open(&args.run)?.best()?;
    let preparation = args.prepare.unwrap_or_default().over(checkpoint.preparation);
    anyhow::ensure!(
        preparation.shape == checkpoint.network.input(),
        "--prepare makes images of {}, but the network takes {}",
        preparation.shape,
        checkpoint.network.input()
    );
    let on_error = OnErrorArg::or_fail(args.on_error);
    let data = load_pictures(&args.paths, &preparation, on_error, &places(global), &mut Bars::new(global))?;
    remark(&data, global);
    let mut engine = Engine::new(&checkpoint.network)?;
    let embeddings = engine.embed(&checkpoint.parameters, &data.train.images);
    data.train.images.check()?;
    let mut batch = Batch::default();
    batch.stage(&args.out, |out| {
        let dims = [embeddings.len() as u64, embeddings.d() as u64];
        let mut writer = npyz::WriteOptions::new().default_dtype().shape(&dims).writer(out).begin_nd()?;
        writer.extend(embeddings.data().iter().copied())?;
        writer.finish()
    })?;
    batch.stage(&table, |out| {
        let mut csv = csv::Writer::from_writer(out);
        csv.write_record(["row", "path", "class"])?;
        for (i, (path, label)) in data.train.names.iter().zip(&data.train.labels).enumerate() {
            let class = if data.labelled { data.classes[*label as usize].as_str() } else { "" };
            csv.write_record([i.to_string().as_str(), path, class])?;
        }
        csv.flush()
    })?;
    batch.commit()?;
    let (n, d) = (embeddings.len(), embeddings.d());
    note(global, format!("{n} images, {d} numbers each; their paths are in {}", table.display()));
    if global.json {
        return line(json!({ "embeddings": args.out, "paths": table, "n": n, "d": d }).to_string());
    }
    line(args.out.display().to_string())
}
