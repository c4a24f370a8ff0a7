//! A map of embeddings: a page of its own, whose points are looked at one by one, searched by name, or caught with a lasso.

use super::figure::{document, encoded, sprite};
use super::input::thousands;
use super::marks;
use super::page::{PageFacts, headline};
use super::text::short_names;
use super::theme;
use crate::files::FileError;
use crate::images::{Images, Shape};
use crate::meter::stage;
use crate::tasks::Colouring;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, PreEscaped, html};
use rayon::prelude::*;
use serde_json::{Value, json};

/// What a map shows.
#[derive(Clone, Debug)]
pub struct MapPoints<'a> {
    /// What it is called.
    pub title: String,
    /// When its model was made, the command that makes the page again, and pages beside it.
    pub facts: PageFacts,
    /// How many images there are; more than are placed where some were drawn.
    pub of: usize,
    /// By method: its name, and where each point lies.
    pub layouts: Vec<(String, Vec<[f64; 2]>)>,
    /// By point: its picture, as image `1` of images `0`.
    pub pictures: Vec<(&'a Images, usize)>,
    /// By point: what it is called.
    pub names: Vec<String>,
    /// What points may be coloured by.
    pub colours: Vec<Colouring>,
    /// By point: the nearest others, the nearest first; as many for each, or none.
    pub neighbours: Vec<Vec<u32>>,
    /// Where large pictures lie, seen from the page: a file `N.png` for point N. Nothing where the page must do without.
    pub assets: Option<String>,
}

/// The page's script, in the order in which its parts are read.
const SCRIPT: &str = concat!(
    include_str!("map/state.js"),
    include_str!("map/draw.js"),
    include_str!("map/names.js"),
    include_str!("map/find.js"),
    include_str!("map/show.js"),
    include_str!("map/input.js"),
);

/// Pictures in a row of a sprite, and sprites' rows: so that none is too large for a browser.
const COLUMNS: usize = 64;
const ROWS: usize = 64;
/// Pixels of all small pictures together: these take about 18 MB as text.
const GREY: usize = 56_000_000;
const COLOUR: usize = 28_000_000;
/// A small picture is never smaller than that.
const LEAST: usize = 16;

impl MapPoints<'_> {
    /// The page's text, which needs nothing else, but for large pictures where `assets` says where these lie.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn html(&self) -> Result<String, FileError> {
        let (small, sprites) = self.sprites()?;
        let large = self.pictures.first().map_or(small, |(images, _)| images.shape());
        let layouts: Vec<Value> = self.layouts.iter().map(|(name, at)| layout(name, at)).collect();
        let colours: Vec<Value> = self
            .colours
            .iter()
            .map(|c| match c {
                Colouring::Kinds(name, kinds, of) => {
                    json!({ "name": name, "kinds": kinds, "short": short_names(kinds), "of": packed(of.iter().copied()) })
                }
                Colouring::Scale(name, of) => {
                    json!({ "name": name, "scale": packed(of.iter().map(|v| finite(*v).to_bits())) })
                }
            })
            .collect();
        let near = self.neighbours.iter().map(Vec::len).min().unwrap_or(0);
        let flat = self.neighbours.iter().flat_map(|list| list[..near].iter().copied());
        let facts = json!({
            "w": small.w, "h": small.h, "columns": COLUMNS, "per": COLUMNS * ROWS, "names": self.names, "layouts": layouts,
            "colours": colours, "sprites": sprites, "near": near, "neighbours": packed(flat), "assets": self.assets,
            "large": [large.w, large.h], "marks": marks::stamps(),
        });
        let n = self.names.len();
        let count = if n < self.of {
            format!("{} of {} images, drawn at random", thousands(n), thousands(self.of))
        } else {
            format!("{} images", thousands(n))
        };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="generator" content=(concat!("alike ", env!("CARGO_PKG_VERSION")));
                    title { (self.title) " · Alike" }
                    style { (PreEscaped(theme::for_page())) (PreEscaped(include_str!("page.css"))) (PreEscaped(include_str!("map/style.css"))) }
                }
                body.map {
                    header {
                        p.brand { "Alike" }
                        button #theme type="button" aria-label="Switch between light and dark" { "◐" }
                        h1 { (headline(&self.title)) }
                        p.lead { (count) ", each where its embedding puts it. Drag to move, turn the wheel or pinch to zoom, click a dot to see it \
                            and its nearest; with the lasso, draw around some to list them." }
                        (self.facts.links())
                    }
                    main {
                        div.bar {
                            div role="group" aria-label="Method" #layouts {}
                            div role="group" aria-label="What dragging does" {
                                button #move type="button" aria-pressed="true" { "move" }
                                button #lasso type="button" aria-pressed="false" { "lasso" }
                                button #whole type="button" { "whole map" }
                                button #names type="button" aria-pressed="true" { "names" }
                            }
                            label { "colour by " select #colour {} }
                            label { "find " input #find type="search" placeholder="part of a name" autocomplete="off"; }
                            span #status role="status" {}
                        }
                        div #legend role="group" aria-label="Shown" tabindex="0" {}
                        div.stage {
                            div.plot {
                                canvas #plot tabindex="0" role="application" aria-describedby="keys"
                                    aria-label="Map of images" {}
                                canvas #over aria-hidden="true" {}
                            }
                            aside #detail hidden aria-label="The image that was chosen" {}
                        }
                        p.hint #keys { "By keyboard: the arrow keys go from dot to dot, with Shift they move the map, + and - zoom, 0 shows the whole, \
                            Enter shows the image, L is the lasso, Escape lets go." }
                        section #caught hidden {
                            h2 #count {}
                            p { button #save type="button" { "Save the list as CSV" } " " button #clear type="button" { "Let go" } }
                            div #sheet {}
                        }
                        @if let Some(command) = &self.facts.command {
                            section #made aria-labelledby="made-title" {
                                h2 #made-title { "How this was made" }
                                p {
                                    "By Alike " (env!("CARGO_PKG_VERSION"))
                                    @if let Some(date) = &self.facts.date { ", from a model of " (date) }
                                    ". This command makes it again:"
                                }
                                pre tabindex="0" { (command) }
                            }
                        }
                    }
                    div #tip hidden {}
                    // In a script element text is not escaped, and a `<` could end it early.
                    script #facts type="application/json" { (PreEscaped(facts.to_string().replace('<', "\\u003c"))) }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        };
        Ok(document(page))
    }

    /// Small pictures, many in one, and their shape: as large as all may be together.
    fn sprites(&self) -> Result<(Shape, Vec<String>), FileError> {
        let shape = self.pictures.first().map_or(Shape { h: 1, w: 1, c: 1 }, |(images, _)| images.shape());
        let most = if shape.c == 3 { COLOUR } else { GREY } / self.pictures.len().max(1);
        let share = (most as f64 / (shape.h * shape.w) as f64).sqrt().min(1.0);
        let longest = (share * shape.h.max(shape.w) as f64).max(LEAST as f64) / shape.h.max(shape.w) as f64;
        let side = |n: usize| ((n as f64 * longest.min(1.0)).round() as usize).max(1);
        let small = Shape { h: side(shape.h), w: side(shape.w), c: shape.c };
        let stage = stage("packing pictures", self.pictures.len());
        let sheet = |some: &[(&Images, usize)]| {
            let mut bytes = Vec::with_capacity(some.len() * small.len());
            let mut scratch = Vec::new();
            for (images, i) in some {
                if images.are_floats() {
                    bytes.resize(bytes.len() + small.len(), 0);
                } else {
                    reduced(images.image(*i, &mut scratch)?, shape, small, &mut bytes);
                }
            }
            let all = Images::new(small, bytes);
            let sheet = sprite(&all, &(0..all.len()).collect::<Vec<_>>(), COLUMNS);
            stage.advance(some.len());
            sheet
        };
        let sheets = self.pictures.par_chunks(COLUMNS * ROWS);
        let sprites = sheets.map(sheet).collect::<Result<Vec<String>, FileError>>()?;
        Ok((small, sprites))
    }

    /// The large picture of point `i`, as a PNG file.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub fn asset(&self, i: usize) -> Result<Vec<u8>, FileError> {
        let (images, at) = self.pictures[i];
        Ok(crate::own_files::marked_png(encoded(images, &[at], 1)?))
    }
}

/// An image made smaller: each pixel the mean of those that it covers.
fn reduced(image: &[u8], from: Shape, to: Shape, out: &mut Vec<u8>) {
    let span = |i: usize, n: usize, of: usize| (i * of / n, ((i + 1) * of / n).max(i * of / n + 1));
    for y in 0..to.h {
        let (top, bottom) = span(y, to.h, from.h);
        for x in 0..to.w {
            let (left, right) = span(x, to.w, from.w);
            for c in 0..to.c {
                let rows = (top..bottom)
                    .flat_map(|row| (left..right).map(move |col| (row * from.w + col) * from.c + c));
                let (sum, n) = rows.fold((0u32, 0u32), |(sum, n), at| (sum + u32::from(image[at]), n + 1));
                out.push((sum / n.max(1)) as u8);
            }
        }
    }
}

fn finite(v: f64) -> f32 {
    if v.is_finite() { v as f32 } else { 0.0 }
}

/// Numbers of 32 bits, as a script reads them fast.
fn packed(values: impl Iterator<Item = u32>) -> String {
    STANDARD.encode(values.flat_map(u32::to_le_bytes).collect::<Vec<u8>>())
}

/// Places to a 65,535th of a map's longer side, which is finer than a screen.
fn layout(name: &str, at: &[[f64; 2]]) -> Value {
    let range = |k: usize| super::axes::range(at.iter().map(|p| p[k]), 0.0);
    let ((x0, x1), (y0, y1)) = (range(0), range(1));
    let unit = 65_535.0 / (x1 - x0).max(y1 - y0).max(f64::MIN_POSITIVE);
    let place = |v: f64, from: f64| {
        if v.is_finite() { ((v - from) * unit).round().clamp(0.0, 65_535.0) as u16 } else { 0 }
    };
    let bytes: Vec<u8> =
        at.iter().flat_map(|p| [place(p[0], x0), place(p[1], y0)]).flat_map(u16::to_le_bytes).collect();
    json!({ "name": name, "at": STANDARD.encode(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_every_point_and_no_name_can_end_its_script() {
        let images = Images::new(Shape { h: 1, w: 1, c: 1 }, vec![1, 2]);
        let map = MapPoints {
            title: "two".into(),
            facts: PageFacts { command: Some("alike map 'a <b>'".into()), ..PageFacts::default() },
            of: 5,
            layouts: vec![("PCA".into(), vec![[0.0, 1.0], [f64::NAN, 3.0]])],
            pictures: vec![(&images, 1), (&images, 0)],
            names: vec!["</script>".into(), "b".into()],
            colours: vec![Colouring::Scale("distance".into(), vec![0.5, 1.0])],
            neighbours: vec![vec![1], vec![0]],
            assets: None,
        };
        let page = map.html().unwrap();
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("data:image/png") && page.contains("2 of 5 images"));
        // The only x stands in the middle of an axis of length 1, half as long as the other; what is no number stands at 0.
        assert!(page.contains(&STANDARD.encode([0, 64, 0, 0, 0, 0, 255, 255])));
        assert_eq!(image::load_from_memory(&map.asset(0).unwrap()).unwrap().to_luma8().into_raw(), [2]);
    }

    #[test]
    fn small_pictures_are_means_of_large_ones() {
        let mut out = Vec::new();
        let (from, to) = (Shape { h: 2, w: 4, c: 1 }, Shape { h: 1, w: 2, c: 1 });
        reduced(&[0, 10, 100, 200, 20, 30, 0, 100], from, to, &mut out);
        assert_eq!(out, [15, 100]);
    }
}
