//! A map of embeddings: a page of its own, whose points are looked at one by one or caught with a lasso.

use super::figure::{document, sprite};
use super::theme;
use crate::files::FileError;
use crate::images::{Images, Shape};
use crate::tasks::Colouring;
use maud::{DOCTYPE, PreEscaped, html};
use serde_json::{Value, json};

/// What a map shows.
#[derive(Clone, Debug)]
pub struct MapPoints<'a> {
    /// What it is called.
    pub title: String,
    /// By method: its name, and where each point lies.
    pub layouts: Vec<(String, Vec<[f64; 2]>)>,
    /// By point: its picture, as image `1` of images `0`.
    pub pictures: Vec<(&'a Images, usize)>,
    /// By point: what it is called.
    pub names: Vec<String>,
    /// What points may be coloured by.
    pub colours: Vec<Colouring>,
}

const COLUMNS: usize = 64;

impl MapPoints<'_> {
    /// The page's text, which needs nothing else.
    ///
    /// # Errors
    ///
    /// If a picture cannot be read.
    pub fn html(&self) -> Result<String, FileError> {
        let shape = self.pictures.first().map_or(Shape { h: 1, w: 1, c: 1 }, |(images, _)| images.shape());
        let layouts: Vec<Value> = self
            .layouts
            .iter()
            .map(|(name, points)| json!({ "name": name, "at": points.iter().map(|p| p.map(tidy)).collect::<Vec<_>>() }))
            .collect();
        let colours: Vec<Value> = self
            .colours
            .iter()
            .map(|c| match c {
                Colouring::Kinds(name, kinds, of) => json!({ "name": name, "kinds": kinds, "of": of }),
                Colouring::Scale(name, of) => {
                    json!({ "name": name, "of": of.iter().map(|v| tidy(*v)).collect::<Vec<_>>() })
                }
            })
            .collect();
        let facts = json!({
            "w": shape.w, "h": shape.h, "columns": COLUMNS, "names": self.names, "layouts": layouts, "colours": colours,
            "sprite": self.sprite(shape)?,
        });
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width,initial-scale=1";
                    meta name="generator" content=(concat!("alike ", env!("CARGO_PKG_VERSION")));
                    title { (self.title) " · Alike" }
                    style { (PreEscaped(theme::for_page())) (PreEscaped(include_str!("page.css"))) (PreEscaped(include_str!("map.css"))) }
                }
                body.map {
                    header {
                        p.brand { "Alike" }
                        button #theme type="button" aria-label="Switch between light and dark" { "◐" }
                        h1 { (self.title) }
                        p.lead { (self.names.len()) " images, each where its embedding puts it. Point at one to see it; draw around some to list them." }
                    }
                    main {
                        div.bar {
                            div role="group" aria-label="Method" #layouts {}
                            label { "colour by " select #colour {} }
                            span #legend {}
                        }
                        div.plot { canvas #plot tabindex="0" aria-label="Map of images; drag to draw around some" {} }
                        section #caught hidden {
                            h2 #count {}
                            p { button #save type="button" { "Save the list as CSV" } " " button #clear type="button" { "Let go" } }
                            div #sheet {}
                        }
                    }
                    div #tip hidden {}
                    // In a script element text is not escaped, and a `<` could end it early.
                    script #facts type="application/json" { (PreEscaped(facts.to_string().replace('<', "\\u003c"))) }
                    script { (PreEscaped(include_str!("map.js"))) }
                }
            }
        };
        Ok(document(page))
    }

    /// All pictures in one, whatever images they are of.
    fn sprite(&self, shape: Shape) -> Result<String, FileError> {
        let mut bytes = Vec::with_capacity(self.pictures.len() * shape.len());
        let mut scratch = Vec::new();
        for (images, i) in &self.pictures {
            if images.are_floats() {
                bytes.resize(bytes.len() + shape.len(), 0);
            } else {
                bytes.extend_from_slice(images.image(*i, &mut scratch)?);
            }
        }
        let all = Images::new(shape, bytes);
        sprite(&all, &(0..all.len()).collect::<Vec<_>>(), COLUMNS)
    }
}

/// Four digits are enough for a screen.
fn tidy(v: f64) -> f64 {
    if v.is_finite() { (v * 1e4).round() / 1e4 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_holds_every_point_and_no_name_can_end_its_script() {
        let images = Images::new(Shape { h: 1, w: 1, c: 1 }, vec![1, 2]);
        let map = MapPoints {
            title: "two".into(),
            layouts: vec![("PCA".into(), vec![[0.0, 1.0], [f64::NAN, 3.0]])],
            pictures: vec![(&images, 1), (&images, 0)],
            names: vec!["</script>".into(), "b".into()],
            colours: vec![Colouring::Scale("distance".into(), vec![0.5, 1.0])],
        };
        let page = map.html().unwrap();
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(page.contains("[0.0,3.0]") && page.contains("data:image/png"));
    }
}
