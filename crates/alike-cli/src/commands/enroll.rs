//! `alike enroll`.

use crate::args::{EnrollArgs, Global};
use crate::printer::{json, line};
use crate::using::OpenModel;
use alike::gallery::Gallery;
use alike::tasks::enroll;
use anyhow::ensure;

pub(crate) fn run(args: &EnrollArgs, global: &Global) -> anyhow::Result<()> {
    let path = &args.gallery;
    ensure!(
        path.extension().is_some_and(|e| e == "npy"),
        "{} is no gallery of embeddings; name a .npy file, such as one that alike embed wrote",
        path.display()
    );
    ensure!(!args.class.trim().is_empty(), "a class needs a name");
    ensure!(
        !path.exists() || Gallery::is(path),
        "{} was not written by alike embed: {} is missing",
        path.display(),
        path.with_extension("json").display()
    );
    let model = OpenModel::new(&args.encoder, global)?;
    let data = model.read(&args.images)?;
    let answer = enroll(&model, &data, args.class.trim(), path)?;
    if global.json {
        return json(&answer);
    }
    line(format!(
        "{}: {} images of '{}' added; {} images of {} classes now",
        path.display(),
        answer.added,
        answer.class,
        answer.images,
        answer.classes
    ))
}
