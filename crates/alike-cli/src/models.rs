//! A model as the command line opens it: what it reads is told to the user.

use crate::args::{EncoderArgs, Global, OnErrorArg, SubjectArgs};
use crate::bars::Bars;
use crate::collections::{self, Kept};
use crate::commands::{data_paths, remark};
use crate::encoders;
use crate::printer::note;
use alike::data::{Dataset, Request};
#[cfg(feature = "collections")]
use alike::data::{list_catalogue, load_listing};
use alike::encoder::Encoder;
use alike::eval::Bursts;
use alike::tasks::{Known, Model, ModelOptions, ModelSource, Opened, Subject, TaskError};
use alike::train::Run;
use anyhow::Context;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// The runs that are meant, each a folder or a list of folders with commas between them. A folder that there is whole is meant.
pub(crate) fn runs(with: &[PathBuf]) -> Vec<PathBuf> {
    let split = |path: &PathBuf| match path.to_str() {
        Some(text) if !path.exists() && text.contains(',') => text.split(',').map(PathBuf::from).collect(),
        _ => vec![path.clone()],
    };
    with.iter().flat_map(split).collect()
}

/// The runs that are meant by folders: each a run, or a folder that holds some, as `train --seeds` makes it.
pub(crate) fn runs_of(folders: &[PathBuf]) -> Vec<PathBuf> {
    let inside = |folder: &PathBuf| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|e| e.path());
        let mut found: Vec<PathBuf> = entries.filter(|path| Run::open(path).is_ok()).collect();
        // seed-2 before seed-10.
        found.sort_by_cached_key(|path| (path.as_os_str().len(), path.clone()));
        found
    };
    let meant = |folder: &PathBuf| match inside(folder) {
        found if Run::open(folder).is_err() && !found.is_empty() => found,
        // A run, or nothing: which is told when it is opened.
        _ => vec![folder.clone()],
    };
    folders.iter().flat_map(meant).collect()
}

/// What a user names as a model: a run's folder, an ONNX file, or the name of an encoder. A folder goes before a name.
pub(crate) fn source(what: &Path, global: &Global) -> anyhow::Result<ModelSource> {
    if !what.is_dir()
        && let Some(encoder) = encoders::open(what, global)?
    {
        return Ok(ModelSource::Encoder { name: what.display().to_string(), encoder });
    }
    ModelSource::run_on(what, |name| base(name, what, global))
}

/// The encoder that a head stands on.
fn base(name: &str, run: &Path, global: &Global) -> anyhow::Result<Box<dyn Encoder>> {
    let encoder = encoders::open(Path::new(name), global)?;
    encoder.with_context(|| {
        format!(
            "{} is a head on the encoder '{name}', which is not here; alike encoders add {name} --name NAME, or write where it is \
             as encoder into {}/config.toml",
            run.display(),
            run.display()
        )
    })
}

fn sources(with: &[PathBuf], global: &Global) -> anyhow::Result<Vec<ModelSource>> {
    runs(with).iter().map(|what| source(what, global)).collect()
}

/// A model, and the user who is told what it reads.
pub(crate) struct OpenModel<'a> {
    model: Model,
    /// The collection that was named as the model, whose encoder it is.
    kept: Option<Kept>,
    global: &'a Global,
}

impl Deref for OpenModel<'_> {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.model
    }
}

/// Names that a note lists.
const NAMED: usize = 3;

impl<'a> OpenModel<'a> {
    pub(crate) fn new(args: &EncoderArgs, global: &'a Global) -> anyhow::Result<OpenModel<'a>> {
        let kept = collections::find(&args.model)?;
        if kept.is_none() && args.encoder.is_some() {
            anyhow::bail!(
                "{} is no collection, so --encoder says nothing of it; leave it out",
                args.model.display()
            );
        }
        let of_kept = kept.as_ref().map(|kept| collections::encoder_of(kept, args)).transpose()?;
        let args = of_kept.as_ref().unwrap_or(args);
        let (first, with) = (source(&args.model, global)?, sources(&args.with, global)?);
        let options = ModelOptions {
            with: Vec::new(),
            flip: args.flip,
            prepare: args.prepare.unwrap_or_default(),
            on_error: OnErrorArg::or_fail(args.on_error),
        };
        let model = Model::assemble(first, with, &options, data_paths(global))?;
        #[cfg(feature = "collections")]
        if let Some(kept) = &kept {
            kept.collection.check_encoder(model.encoder().facts())?;
            collections::check_preparation(kept, model.preparation())?;
        }
        Ok(OpenModel { model, kept, global })
    }

    /// Whether a collection was named as the model.
    pub(crate) fn is_kept(&self) -> bool {
        self.kept.is_some()
    }

    /// The pictures of the collection that was named as the model, as tasks take them; nothing where none was.
    pub(crate) fn kept_known(&self) -> anyhow::Result<Option<Known>> {
        let Some(kept) = &self.kept else { return Ok(None) };
        #[cfg(feature = "collections")]
        let path = kept.path.clone();
        #[cfg(not(feature = "collections"))]
        let path = kept.path().to_owned();
        self.read_known(&[path]).map(Some)
    }

    /// What makes vectors for a collection.
    #[cfg(feature = "collections")]
    pub(crate) fn embedder(&self) -> alike_store::Embedder<'_> {
        alike_store::Embedder {
            encoder: self.model.encoder(),
            preparation: *self.model.preparation(),
            on_error: self.model.on_error(),
            nested: self.model.is_nested(),
        }
    }

    /// Pictures that are asked about or kept, and their classes as the run has them.
    pub(crate) fn read(&self, paths: &[PathBuf]) -> Result<Dataset, TaskError> {
        let data = self.pictures(paths, &mut Bars::new(self.global))?;
        remark(&data, self.global);
        Ok(data)
    }

    /// Two pictures that are to be compared.
    pub(crate) fn read_two(&self, a: &Path, b: &Path) -> Result<Dataset, TaskError> {
        let data = self.two(a, b, &mut Bars::new(self.global))?;
        remark(&data, self.global);
        Ok(data)
    }

    /// The data that the run was made from. A model that is no run has none; `instead` says which flag names images then.
    pub(crate) fn read_own(&self, instead: &str) -> anyhow::Result<Dataset> {
        #[cfg(feature = "collections")]
        if let Some(kept) = &self.kept {
            return self.read_kept(kept);
        }
        told(self.own_data(&mut Bars::new(self.global)), instead)
    }

    /// The pictures of the collection as a data set, with the classes and groups that it has of them.
    #[cfg(feature = "collections")]
    fn read_kept(&self, kept: &Kept) -> anyhow::Result<Dataset> {
        let listing = list_catalogue(&kept.path, kept.collection.catalogue()?)?;
        let (name, paths) = (kept.path.display().to_string(), data_paths(self.global));
        let (preparation, on_error) = (*self.preparation(), self.on_error());
        let bars = &mut Bars::new(self.global);
        let data = load_listing(listing, &name, &preparation, on_error, &paths, bars)?;
        remark(&data, self.global);
        Ok(data)
    }

    /// A data set that the user names.
    pub(crate) fn read_data(&self, request: Request) -> Result<Dataset, TaskError> {
        let data = self.data(request, &mut Bars::new(self.global))?;
        remark(&data, self.global);
        Ok(data)
    }

    /// Images that others are compared with.
    pub(crate) fn read_known(&self, paths: &[PathBuf]) -> anyhow::Result<Known> {
        let (mut bars, global) = (Bars::new(self.global), self.global);
        let kept = |path: &Path| Ok(collections::known(path, self.model.encoder().facts())?);
        self.known_or::<anyhow::Error>(paths, &mut bars, |data| remark(data, global), kept)
    }

    /// Says which images that are asked about the run learned from: their distances say little.
    pub(crate) fn note_trained(&self, asked: &Dataset, trained: &[bool]) {
        let names: Vec<&str> = (0..trained.len())
            .filter(|i| trained[*i])
            .filter_map(|i| Some(asked.train.names.get(i)?.as_str()))
            .collect();
        let n = trained.iter().filter(|t| **t).count();
        if n == 0 {
            return;
        }
        let more = if n > NAMED { ", ..." } else { "" };
        let named = names[..names.len().min(NAMED)].join(", ");
        let (was, they) = if n == 1 { ("image was", "it lies") } else { ("images were", "they lie") };
        note(
            self.global,
            format!(
                "{n} {was} trained on: {they} nearer to others than new images do, so distances say little: {named}{more}"
            ),
        );
    }
}

/// Adds what helps to the error of a model that has no images of its own.
fn told(data: Result<Dataset, TaskError>, instead: &str) -> anyhow::Result<Dataset> {
    match data {
        Err(e @ TaskError::NoImages) => anyhow::bail!("{e}; {instead}"),
        other => Ok(other?),
    }
}

/// A model that is to be judged.
pub(crate) fn open_judged(what: &Path, last: bool, global: &Global) -> anyhow::Result<Opened> {
    Ok(Opened::from_source(source(what, global)?, last)?)
}

/// The data that a run was made from.
pub(crate) fn own_data(opened: &Opened, global: &Global) -> anyhow::Result<Dataset> {
    let data = opened.own_data(&data_paths(global), &mut Bars::new(global));
    told(data, "name a data set with --data")
}

/// A model, and the images to judge it on: its own, or others that the user names.
pub(crate) fn subject(opened: Opened, args: &SubjectArgs, global: &Global) -> anyhow::Result<Subject> {
    let data = match &args.data {
        None => own_data(&opened, global)?,
        Some(what) => other_data(&opened, args.source.request(what), global)?,
    };
    beside(opened, data, args.data.is_some(), args, global)
}

/// A model that is judged on `data`, with those beside it that the user names.
pub(crate) fn beside(
    opened: Opened,
    data: Dataset,
    foreign: bool,
    args: &SubjectArgs,
    global: &Global,
) -> anyhow::Result<Subject> {
    Ok(Subject::new(opened, data, foreign, sources(&args.with, global)?, args.flip)?)
}

/// Other data than the run's, to judge it on.
pub(crate) fn other_data(opened: &Opened, request: Request, global: &Global) -> Result<Dataset, TaskError> {
    let data = opened.other(request, &data_paths(global), &mut Bars::new(global))?;
    remark(&data, global);
    Ok(data)
}

/// What a user should know where images come in bursts.
pub(crate) fn bursts_sentence(found: &Bursts, what: &str) -> String {
    format!(
        "{} of {} {what} images come in {} bursts of near copies, so there are {} that are independent; each is left out with its burst. \
         If the bursts are none, or others, say which images belong together in a column 'group' of a table",
        found.images,
        found.groups.len(),
        found.bursts,
        found.independent()
    )
}
