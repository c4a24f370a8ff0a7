//! `alike search`.

use super::refuse_existing;
use super::report::draw;
use crate::args::{Global, SearchArgs};
use crate::printer::{line, note};
use crate::using::Model;
use alike::eval::Reference;
use alike::files;
use alike::images::{Images, Vectors};
use alike::neighbours::{Neighbour, nearest};
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
        model.own_all(&data)?
    } else {
        model.known(&args.gallery)?
    };
    let own = known.own(&asked, args.leave_group)?;
    let (groups, _) = known.groups(args.leave_group)?;
    let answering = known.answering();
    note(global, format!("among {}", answering.sentence()));
    let trained = model.asked_of_trained(&asked, Some(&known));
    let queries = model.embed(&asked.train.images)?;
    let labels = vec![0; known.gallery.len()];
    let gallery = Vectors::Features(&known.gallery.features);
    let reference =
        Reference { groups: &groups, ..Reference::new(gallery, &labels, &known.gallery.identities) };
    let found: Vec<Vec<Neighbour>> = reference.leaving(Some(&own), |leave| {
        let (v, k) = (Vectors::Features(&queries), args.k as usize);
        nearest(model.tier(), v, gallery, k, leave, |_, list| list.to_vec())
    });
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
        let caption = format!(
            "Left each image that was looked for, then its nearest images with their distances, among {}.",
            answering.sentence()
        );
        let figure = picture_rows("search", "Nearest images", caption, &[("Nearest images", rows.collect())]);
        files::write(out, &draw(&figure, out)?)?;
    }
    let neighbour = |n: &Neighbour| {
        json!({ "path": known.gallery.names[n.index], "class": known.gallery.class(n.index), "distance": n.distance,
            "trained_on": known.trained(n.index) })
    };
    if global.json {
        let all: Vec<_> = asked
            .train
            .names
            .iter()
            .zip(found.iter().zip(&trained))
            .map(|(name, (list, trained))| {
                let neighbours: Vec<_> = list.iter().map(neighbour).collect();
                json!({ "query": name, "trained_on": trained, "gallery": answering, "neighbours": neighbours })
            })
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
