//! `alike search`.

use super::refuse_existing;
use super::report::draw;
use crate::args::{Global, SearchArgs};
use crate::printer::line;
use crate::using::Model;
use alike::files;
use alike::images::{Images, Vectors};
use alike::neighbours::{Leave, Neighbour, nearest};
use alike::report::{PictureRow, Shown, Tone, picture_rows};
use serde_json::json;

pub(crate) fn run(args: &SearchArgs, global: &Global) -> anyhow::Result<()> {
    if let Some(out) = &args.out {
        refuse_existing(&[out], args.force)?;
    }
    let mut model = Model::open(&args.run, &args.pictures, global)?;
    let asked = model.pictures(&args.images)?;
    let known = if args.gallery.is_empty() {
        let data = model.own_data()?;
        model.own(&data, data.gallery().0)?
    } else {
        model.known(&args.gallery)?
    };
    let queries = model.embed(&asked.train.images)?;
    let own = known.same(&asked.train.identities);
    let found: Vec<Vec<Neighbour>> = nearest(
        model.tier(),
        Vectors::Features(&queries),
        Vectors::Features(&known.gallery.features),
        args.k as usize,
        own.as_ref().map_or(Leave::None, Leave::shared),
        |_, list| list.to_vec(),
    );
    if let Some(out) = &args.out {
        let pictures: Vec<Vec<Option<(Images, usize)>>> =
            found.iter().map(|list| list.iter().map(|n| model.find(&known, n.index)).collect()).collect();
        let blank = model.blank();
        let rows = found.iter().zip(&pictures).enumerate().map(|(q, (list, pictures))| PictureRow {
            lead: Some(Shown::new(&asked.train.images, q, "query", Tone::Plain)),
            heading: asked.train.names[q].clone(),
            others: list
                .iter()
                .zip(pictures)
                .map(|(n, picture)| {
                    let text = known.gallery.class(n.index).unwrap_or_default().to_owned();
                    Shown { text, ..Shown::or_blank(picture, &blank) }.far(n.distance)
                })
                .collect(),
        });
        let caption = "Left each image that was looked for, then its nearest images with their distances.";
        let figure = picture_rows("search", "Nearest images", caption, &[("Nearest images", rows.collect())]);
        files::write(out, &draw(&figure, out)?)?;
    }
    let neighbour = |n: &Neighbour| json!({ "path": known.gallery.names[n.index], "class": known.gallery.class(n.index), "distance": n.distance });
    if global.json {
        let all: Vec<_> = asked
            .train
            .names
            .iter()
            .zip(&found)
            .map(|(name, list)| json!({ "query": name, "neighbours": list.iter().map(neighbour).collect::<Vec<_>>() }))
            .collect();
        return line(json!(all).to_string());
    }
    for (name, list) in asked.train.names.iter().zip(&found) {
        line(name)?;
        for (rank, n) in list.iter().enumerate() {
            let class = known.gallery.class(n.index).map_or(String::new(), |c| format!("  {c}"));
            line(format!("{:>5}  {:.4}  {}{class}", rank + 1, n.distance, known.gallery.names[n.index]))?;
        }
    }
    Ok(())
}
