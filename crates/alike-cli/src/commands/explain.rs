//! `alike explain`.

use super::refuse_existing;
use super::report::draw;
use crate::args::{ExplainArgs, Global};
use crate::printer::line;
use crate::using::Model;
use alike::engine::PixelGradients;
use alike::eval::saliency;
use alike::files;
use alike::report::{Explained, explained};
use serde_json::json;

pub(crate) fn run(args: &ExplainArgs, global: &Global) -> anyhow::Result<()> {
    refuse_existing(&[&args.out], args.force)?;
    let model = Model::open(&args.run, &args.pictures, global)?;
    anyhow::ensure!(model.embedder().is_one(), "one network is explained at a time; leave --with out");
    let one = model.embedder().first();
    let two = model.two(&args.a, &args.b, "explain")?;
    let images = &two.train.images;
    let mut network = PixelGradients::new(&one.network, &one.parameters, model.tier());
    let why = saliency(&mut network, [(images, 0), (images, 1)], global.seed.unwrap_or(0));
    let (distance, masking) = (why.distance, why.masking);
    let name = |i: usize| {
        let name = &two.train.names[i];
        name.rsplit('/').next().unwrap_or(name).to_owned()
    };
    let figure = explained(&[Explained { images: [(images, 0, name(0)), (images, 1, name(1))], why }]);
    files::write(&args.out, &draw(&figure, &args.out)?)?;
    if global.json {
        return line(json!({ "distance": distance, "masking": masking, "figure": args.out }).to_string());
    }
    line(format!(
        "distance {distance:.4}; painting over the most salient tenth moves it by {:.4}, a random tenth by {:.4}",
        masking.salient, masking.random
    ))?;
    line(args.out.display().to_string())
}
