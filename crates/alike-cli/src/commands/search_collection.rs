//! `alike search` of a collection: by its index, with conditions.

use super::search::{BestArg, SearchArgs, print};
use crate::args::Global;
use crate::models::OpenModel;
use crate::printer::{json, line, note, say};
use alike::data::{Dataset, NO_CLASS};
use alike::images::Features;
use alike::tasks::{Found, GallerySummary, Match, SearchAnswer};
use alike_store::{Access, BestOf, Collection, CollectionIndex, Filter, Hit, Wanted, user};
use anyhow::{Context, ensure};
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

/// Vectors that are asked about.
struct Asked {
    names: Vec<String>,
    features: Features,
    /// By query: the picture of the collection that it is.
    own: Vec<Option<i64>>,
    trained: Vec<bool>,
}

pub(super) fn run(args: &SearchArgs, global: &Global) -> anyhow::Result<()> {
    let of = &args.of_collection;
    let filter: Option<Filter> = of.filter.as_deref().map(str::parse).transpose()?;
    ensure!(of.within.is_none_or(|w| w >= 0.0), "a distance is 0 or more");
    let collection = Collection::open(&user::get(&args.encoder.model)?, Access::Read)?;
    let index = alike_store::index::open(&collection)?;
    let within = match of.calibrated {
        Some(share) => Some(calibrated(&collection, share, global)?),
        None => of.within,
    };
    let best = of.best.map(|best| match best {
        BestArg::Class => BestOf::Class,
        BestArg::Group => BestOf::Group,
    });
    let wanted = Wanted { k: args.k as usize, skip: of.skip, filter: filter.as_ref(), within, best };
    let summary = GallerySummary {
        name: args.encoder.model.display().to_string(),
        images: collection.count_items(filter.as_ref())?,
        classes: collection.classes()?,
        trained_on: None,
    };
    // Said once it is known that there will be an answer.
    let among = || note(global, format!("among {}", summary.sentence()));
    let answer = |asked: &Asked| answer(&collection, &*index, asked, wanted, &summary);
    if let Some(asked) = without_pictures(args, &collection)? {
        among();
        return tell(&answer(&asked)?, of.skip, global);
    }
    let model = OpenModel::new(&args.encoder, global)?;
    if args.images == [PathBuf::from("-")] {
        among();
        return from_input(&model, &collection, global, answer);
    }
    let asked = if args.images.is_empty() {
        combined(&model, &collection, &of.like, &of.unlike)?
    } else {
        let data = model.read(&args.images)?;
        let asked = embedded(&model, &collection, &data)?;
        model.note_trained(&data, &asked.trained);
        asked
    };
    among();
    tell(&answer(&asked)?, of.skip, global)
}

fn tell(answer: &SearchAnswer, skipped: usize, global: &Global) -> anyhow::Result<()> {
    if global.json { json(answer) } else { print(answer, skipped) }
}

/// Queries for which no picture is embedded.
fn without_pictures(args: &SearchArgs, collection: &Collection) -> anyhow::Result<Option<Asked>> {
    let of = &args.of_collection;
    let asked = |names: Vec<String>, features: Features| {
        let n = names.len();
        Some(Asked { names, features, own: vec![None; n], trained: vec![false; n] })
    };
    if let Some(class) = &of.class_mean {
        let mean = collection.class_mean(class)?;
        return Ok(asked(vec![format!("the mean of {class}")], Features::new(mean.len(), mean)));
    }
    let Some(path) = &of.vectors else { return Ok(None) };
    let features = alike::gallery::read_vectors(path)?;
    let names = (0..features.len()).map(|i| format!("{}#{i}", path.display())).collect();
    Ok(asked(names, features))
}

fn embedded(model: &OpenModel<'_>, collection: &Collection, data: &Dataset) -> anyhow::Result<Asked> {
    let split = &data.train;
    let features = model.embed(&split.images)?;
    let own = collection.ids_at((0..split.len()).map(|i| split.identities.place(i)))?;
    let trained = model.asked_of_trained(data, None);
    Ok(Asked { names: split.names.clone(), features, own, trained })
}

/// How far a query is moved from what it is unlike, as a share of the way between: the weights of Rocchio's formula as it is mostly used,
/// 0.75 and 0.25.
const AWAY: f32 = 1.0 / 3.0;

/// One query of several pictures: the mean of those that it is like, moved away from the mean of the others.
fn combined(
    model: &OpenModel<'_>,
    collection: &Collection,
    like: &[PathBuf],
    unlike: &[PathBuf],
) -> anyhow::Result<Asked> {
    ensure!(!like.is_empty(), "name at least one picture that it is like with --like");
    let mean = |paths: &[PathBuf]| -> anyhow::Result<Option<Vec<f32>>> {
        if paths.is_empty() {
            return Ok(None);
        }
        let data = model.read(paths)?;
        let features = embedded(model, collection, &data)?.features;
        let mut sum = vec![0f64; features.d()];
        features.rows().for_each(|row| sum.iter_mut().zip(row).for_each(|(s, v)| *s += f64::from(*v)));
        Ok(Some(sum.into_iter().map(|s| (s / features.len() as f64) as f32).collect()))
    };
    let (Some(mut query), unlike_mean) = (mean(like)?, mean(unlike)?) else {
        anyhow::bail!("name at least one picture that it is like with --like");
    };
    if let Some(away) = unlike_mean {
        query.iter_mut().zip(&away).for_each(|(q, a)| *q += AWAY * (*q - a));
        if model.encoder().facts().unit_length {
            let length = query.iter().map(|v| v * v).sum::<f32>().sqrt();
            if length > 0.0 {
                query.iter_mut().for_each(|v| *v /= length);
            }
        }
    }
    let names = like.iter().map(|p| p.display().to_string()).collect::<Vec<_>>().join(" + ");
    let away: String = unlike.iter().map(|p| format!(" - {}", p.display())).collect();
    Ok(Asked {
        names: vec![names + &away],
        features: Features::new(query.len(), query),
        own: vec![None],
        trained: vec![false],
    })
}

fn answer(
    collection: &Collection,
    index: &dyn CollectionIndex,
    asked: &Asked,
    wanted: Wanted<'_>,
    gallery: &GallerySummary,
) -> anyhow::Result<SearchAnswer> {
    let found = alike_store::search(collection, index, &asked.features, &asked.own, wanted)?;
    let matched = |Hit { item, distance }: Hit| Match {
        path: item.path,
        id: Some(item.id),
        class: item.class.filter(|c| c != NO_CLASS),
        group: item.group,
        distance,
        trained_on: None,
        index: 0,
    };
    let queries =
        asked.names.iter().zip(found).zip(&asked.trained).map(|((query, hits), trained_on)| Found {
            query: query.clone(),
            trained_on: *trained_on,
            neighbours: hits.into_iter().map(matched).collect(),
        });
    Ok(SearchAnswer { gallery: gallery.clone(), within: wanted.within, queries: queries.collect() })
}

/// Bytes of a line of standard input, at most: systems allow paths of 4,096.
const LONGEST: u64 = 1 << 16;

/// Answers each path as it comes. A picture that cannot be read is told, and the next is answered.
fn from_input(
    model: &OpenModel<'_>,
    collection: &Collection,
    global: &Global,
    answer: impl Fn(&Asked) -> anyhow::Result<SearchAnswer>,
) -> anyhow::Result<()> {
    let mut failed = 0;
    let mut input = std::io::stdin().lock();
    let mut text = Vec::new();
    while (&mut input).take(LONGEST).read_until(b'\n', &mut text)? > 0 {
        ensure!(
            (text.len() as u64) < LONGEST,
            "a line of standard input has more than {LONGEST} bytes; give a path a line"
        );
        let path = String::from_utf8(std::mem::take(&mut text));
        let path = path.context("standard input cannot be read as lines of text")?;
        let path = path.strip_suffix('\n').map_or(&*path, |path| path.strip_suffix('\r').unwrap_or(path));
        if path.trim().is_empty() {
            continue;
        }
        let one = |path: &Path| -> anyhow::Result<SearchAnswer> {
            let data = model.pictures(&[path.to_owned()], &mut alike::data::Quiet)?;
            answer(&embedded(model, collection, &data)?)
        };
        match one(Path::new(path)) {
            Ok(found) => tell(&found, 0, global)?,
            Err(e) => {
                failed += 1;
                say(format!("{e:#}"));
                if global.json {
                    line(serde_json::json!({ "query": path, "error": format!("{e:#}") }).to_string())?;
                }
            }
        }
    }
    ensure!(failed == 0, "{failed} queries could not be answered");
    Ok(())
}

/// The distance within which a share of the pictures of known class have their nearest other one of the class.
fn calibrated(collection: &Collection, share: f64, global: &Global) -> anyhow::Result<f64> {
    let Some(found) = alike_store::calibrate(collection, share)? else {
        anyhow::bail!(
            "{} has no two pictures of one class, which would tell how near is near enough; give --within",
            collection.path().display()
        );
    };
    note(
        global,
        format!(
            "near enough is {:.4}: so near is the nearest other picture of the class for {:.1} % of {} pictures of known class",
            found.within,
            100.0 * share,
            found.pictures
        ),
    );
    Ok(found.within)
}
