//! `alike enroll`.

use crate::args::{EnrollArgs, Global};
use crate::printer::line;
use crate::using::Model;
use alike::files::Batch;
use alike::gallery::Gallery;
use alike::identity::Identities;
use anyhow::ensure;
use serde_json::json;

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
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let there = if path.exists() { Some(model.kept(path)?) } else { None };
    let data = model.pictures(&args.images)?;
    let mut more = model.gallery(&data, &data.train)?;
    more.set_class(args.class.trim());
    let added = more.len();
    let all = match there {
        None => more,
        Some(mut all) => {
            if let Some(same) = Identities::shared(&more.identities, &all.identities) {
                let twice = same.queries.iter().position(|q| (*q as usize) < all.len()).unwrap_or(0);
                anyhow::bail!("{} is in {} already", more.names[twice], path.display());
            }
            all.append(&more);
            all
        }
    };
    let mut batch = Batch::default();
    all.stage(path, &mut batch)?;
    batch.commit()?;
    if global.json {
        let facts = json!({ "gallery": path, "class": args.class.trim(), "added": added, "images": all.len(), "classes": all.classes.len() });
        return line(facts.to_string());
    }
    line(format!(
        "{}: {added} images of '{}' added; {} images of {} classes now",
        path.display(),
        args.class.trim(),
        all.len(),
        all.classes.len()
    ))
}
