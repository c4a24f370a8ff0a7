//! `alike enroll`.

use crate::args::{EncoderArgs, Global};
use crate::models::OpenModel;
use crate::printer::{json, line};
use alike::gallery::Gallery;
use alike::tasks::{EnrollAnswer, enroll};
use anyhow::{bail, ensure};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  alike embed MODEL known/ -o known.npy
  alike enroll MODEL --gallery known.npy --class cup cup1.jpg cup2.jpg cup3.jpg
  alike enroll photos --class cup cup1.jpg cup2.jpg         into a collection")]
pub(crate) struct EnrollArgs {
    #[command(flatten)]
    pub(crate) encoder: EncoderArgs,
    /// Images of the class: files or folders
    #[arg(required = true, value_name = "IMAGE")]
    pub(crate) images: Vec<PathBuf>,
    /// Gallery (.npy) or collection that they are added to; a gallery is created if it does not exist [default: the collection that is
    /// the model]
    #[arg(long, value_name = "FILE")]
    pub(crate) gallery: Option<PathBuf>,
    /// The class's name
    #[arg(long, value_name = "NAME")]
    pub(crate) class: String,
}

pub(crate) fn run(args: &EnrollArgs, global: &Global) -> anyhow::Result<()> {
    ensure!(!args.class.trim().is_empty(), "a class needs a name");
    if let Some(collection) = collection(args) {
        return enroll_in(&collection, args, global);
    }
    let Some(path) = &args.gallery else {
        bail!(
            "{} is no collection; name the gallery that the images are added to with --gallery",
            args.encoder.model.display()
        );
    };
    ensure!(
        path.extension().is_some_and(|e| e == "npy"),
        "{} is no gallery of embeddings; name a .npy file, such as one that alike embed wrote",
        path.display()
    );
    ensure!(
        !path.exists() || Gallery::is(path),
        "{} was not written by alike embed: {} is missing",
        path.display(),
        path.with_extension("json").display()
    );
    let model = OpenModel::new(&args.encoder, global)?;
    let data = model.read(&args.images)?;
    print(&enroll(&model, &data, args.class.trim(), path)?, global)
}

/// The collection that the images are added to, if it is one.
#[cfg(feature = "collections")]
fn collection(args: &EnrollArgs) -> Option<PathBuf> {
    match &args.gallery {
        Some(gallery) => alike_store::user::find(gallery),
        None => crate::collections::meant(&args.encoder.model),
    }
}

#[cfg(not(feature = "collections"))]
fn collection(_: &EnrollArgs) -> Option<PathBuf> {
    None
}

#[cfg(feature = "collections")]
fn enroll_in(path: &Path, args: &EnrollArgs, global: &Global) -> anyhow::Result<()> {
    use alike_store::{Access, Collection, Taken};
    let model = OpenModel::new(&args.encoder, global)?;
    let mut collection = Collection::open(path, Access::Write)?;
    let class = args.class.trim();
    let bars = &mut crate::bars::Bars::new(global);
    let added =
        alike_store::add(&mut collection, &model.embedder(), &args.images, Some(class), Taken::Refuse, bars)?;
    let (gallery, class) = (path.to_owned(), class.to_owned());
    let (added, images, classes) = (added.added, added.images, collection.classes()?);
    print(&EnrollAnswer { gallery, class, added, images, classes }, global)
}

#[cfg(not(feature = "collections"))]
fn enroll_in(_: &Path, _: &EnrollArgs, _: &Global) -> anyhow::Result<()> {
    Ok(())
}

fn print(answer: &EnrollAnswer, global: &Global) -> anyhow::Result<()> {
    if global.json {
        return json(answer);
    }
    line(format!(
        "{}: {} images of '{}' added; {} images of {} classes now",
        answer.gallery.display(),
        answer.added,
        answer.class,
        answer.images,
        answer.classes
    ))
}
