//! Collections, as the command line finds and opens them.

#[cfg(feature = "collections")]
pub(crate) use store::*;

#[cfg(feature = "collections")]
mod store {
    use crate::args::EncoderArgs;
    use alike::data::{Catalogues, Preparation};
    use alike::encoder::EncoderFacts;
    use alike::tasks::Known;
    use alike::train::Run;
    use alike_store::{Access, Address, Collection, Collections, StoreError, user};
    use std::path::{Path, PathBuf};

    /// Collections as data.
    pub(crate) fn catalogues() -> Option<&'static dyn Catalogues> {
        Some(&Collections)
    }

    /// A collection that stands where a model is named.
    pub(crate) struct Kept {
        pub(crate) path: PathBuf,
        pub(crate) collection: Collection,
    }

    /// The file of the collection that a user means where a model is named, if one is meant. The folder of a run goes before a name.
    pub(crate) fn meant(what: &Path) -> Option<PathBuf> {
        let is_run = what.is_dir() && Run::open(what).is_ok();
        if is_run { None } else { user::find(what) }
    }

    /// The collection that a user means as a model; nothing where none is meant.
    pub(crate) fn find(what: &Path) -> anyhow::Result<Option<Kept>> {
        let Some(path) = meant(what) else { return Ok(None) };
        let collection = Collection::open(&path, Access::Read)?;
        Ok(Some(Kept { path, collection }))
    }

    /// The same arguments with the collection's encoder as the model.
    pub(crate) fn encoder_of(kept: &Kept, args: &EncoderArgs) -> anyhow::Result<EncoderArgs> {
        anyhow::ensure!(
            args.with.is_empty() && !args.flip && args.prepare.is_none(),
            "{} says itself how its pictures are embedded; leave --with, --flip and --prepare out",
            kept.path.display()
        );
        let about = kept.collection.about();
        // Features have none that could be wished for.
        let prepare = about.preparation.parse().ok();
        let Address { model, with, flip } = about.address.clone();
        Ok(EncoderArgs {
            model: args.encoder.clone().unwrap_or(model),
            encoder: None,
            prepare,
            on_error: args.on_error,
            flip,
            with,
        })
    }

    /// Refuses a model that prepares pictures otherwise than those of the collection were.
    pub(crate) fn check_preparation(kept: &Kept, preparation: &Preparation) -> anyhow::Result<()> {
        let (own, its) = (&kept.collection.about().preparation, preparation.to_string());
        anyhow::ensure!(
            *own == its,
            "the pictures of {} were prepared as {own}, not as {its}; embed them anew with alike collection reembed",
            kept.path.display()
        );
        Ok(())
    }

    /// The embeddings in a collection that is named as a gallery, with what people said of its pictures; nothing where none is meant.
    pub(crate) fn known(what: &Path, of: &EncoderFacts) -> Result<Option<Known>, StoreError> {
        let Some(path) = user::find(what) else { return Ok(None) };
        let collection = Collection::open(&path, Access::Read)?;
        collection.check_encoder(of)?;
        Ok(Some(Known::kept(collection.gallery(None)?).corrected(collection.corrections()?)))
    }
}

#[cfg(not(feature = "collections"))]
pub(crate) use nothing::*;

/// In a build without collections there are none.
#[cfg(not(feature = "collections"))]
mod nothing {
    use crate::args::EncoderArgs;
    use alike::data::Catalogues;
    use alike::encoder::EncoderFacts;
    use alike::tasks::{Known, TaskError};
    use std::path::Path;

    pub(crate) fn catalogues() -> Option<&'static dyn Catalogues> {
        None
    }

    /// Nothing is one.
    pub(crate) enum Kept {}

    impl Kept {
        pub(crate) fn path(&self) -> &Path {
            match *self {}
        }
    }

    pub(crate) fn find(what: &Path) -> anyhow::Result<Option<Kept>> {
        anyhow::ensure!(
            what.extension().is_none_or(|e| e != "alike"),
            "{} cannot be read: this build of alike was made without the feature 'collections'",
            what.display()
        );
        Ok(None)
    }

    pub(crate) fn encoder_of(kept: &Kept, _: &EncoderArgs) -> anyhow::Result<EncoderArgs> {
        match *kept {}
    }

    pub(crate) fn known(_: &Path, _: &EncoderFacts) -> Result<Option<Known>, TaskError> {
        Ok(None)
    }
}
