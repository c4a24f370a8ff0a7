//! A figure: panels of vector graphics, which the page lets wrap and a file sets side by side.

use super::theme;
use crate::files::FileError;
use crate::images::{Images, Shape};
use crate::own_files;
use base64::Engine as _;
use image::ImageEncoder;
use maud::{Markup, PreEscaped, html};
use resvg::{tiny_skia, usvg};
use std::fmt;
use std::sync::{Arc, LazyLock};

/// Every panel's width: that of a phone, so that text stays readable there.
pub(super) const WIDTH: f64 = 360.0;
/// The height of a panel's title.
pub(super) const HEAD: f64 = 26.0;
const GAP: f64 = 16.0;

/// One drawing. Its coordinates begin at the upper left, below the title.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    /// Without the title.
    pub(super) height: f64,
    pub(super) body: Markup,
}

/// Panels that belong together, with what must be said about them.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The file's name, without its ending.
    pub name: &'static str,
    /// One line.
    pub title: String,
    /// What was measured and how; plain text.
    pub caption: String,
    pub(super) panels: Vec<Panel>,
    /// Panels in a row, where there is room.
    pub(super) columns: usize,
}

/// A coordinate, to a hundredth.
pub(super) struct N(pub(super) f64);

impl fmt::Display for N {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.2}", self.0);
        f.write_str(text.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl Panel {
    /// The panel as it stands in a page.
    pub(super) fn inline(&self) -> Markup {
        html! {
            svg class="panel" viewBox=(format!("0 0 {WIDTH} {}", self.height + HEAD)) role="img" aria-label=(self.title) {
                (self.content())
            }
        }
    }

    fn content(&self) -> Markup {
        html! {
            text class="t f-ink" x="0" y="14" { (self.title) }
            g transform=(format!("translate(0 {HEAD})")) { (self.body) }
        }
    }
}

impl Figure {
    /// The figure as an SVG file.
    pub fn svg(&self) -> String {
        let columns = self.columns.min(self.panels.len()).max(1);
        let mut places = Vec::new();
        let mut y = GAP;
        for row in self.panels.chunks(columns) {
            for (i, panel) in row.iter().enumerate() {
                places.push((GAP + i as f64 * (WIDTH + GAP), y, panel));
            }
            y += row.iter().map(|p| p.height + HEAD).fold(0.0, f64::max) + GAP;
        }
        let (width, height) = (GAP + columns as f64 * (WIDTH + GAP), y);
        let drawn = html! {
            svg xmlns="http://www.w3.org/2000/svg" width=(N(width)) height=(N(height))
                viewBox=(format!("0 0 {} {}", N(width), N(height))) {
                title { (self.title) }
                desc { (self.caption) }
                style { (PreEscaped(theme::for_file())) }
                rect class="f-paper" width=(N(width)) height=(N(height)) {}
                @for (x, y, panel) in places {
                    g transform=(format!("translate({} {})", N(x), N(y))) { (panel.content()) }
                }
            }
        };
        document(drawn)
    }

    /// The figure as a PNG file, `scale` pixels a unit. Text is drawn in a font that the program carries.
    ///
    /// # Errors
    ///
    /// If it cannot be drawn, as where it is too large.
    pub fn png(&self, scale: f32) -> Result<Vec<u8>, FigureError> {
        let error = |why: &dyn std::fmt::Display| FigureError { name: self.name, why: why.to_string() };
        let tree = usvg::Tree::from_str(&self.svg(), &OPTIONS).map_err(|e| error(&e))?;
        let size = tree.size();
        let (w, h) = ((size.width() * scale).ceil() as u32, (size.height() * scale).ceil() as u32);
        let mut pixels =
            tiny_skia::Pixmap::new(w, h).ok_or_else(|| error(&format!("{w} x {h} pixels are too many")))?;
        resvg::render(&tree, tiny_skia::Transform::from_scale(scale, scale), &mut pixels.as_mut());
        pixels.encode_png().map(own_files::marked_png).map_err(|e| error(&e))
    }
}

/// Markup as a document may have it: characters that XML forbids, which names of classes and files may hold, become U+FFFD.
pub(super) fn document(markup: Markup) -> String {
    let forbidden =
        |c: char| (c.is_control() && !"\n\r\t".contains(c)) || matches!(c, '\u{FFFE}' | '\u{FFFF}');
    markup.into_string().replace(forbidden, "\u{FFFD}")
}

/// A figure could not be drawn.
#[derive(Debug, thiserror::Error)]
#[error("cannot draw the figure '{name}': {why}")]
pub struct FigureError {
    name: &'static str,
    why: String,
}

static OPTIONS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| {
    let mut fonts = usvg::fontdb::Database::new();
    fonts.load_font_data(dejavu::sans::regular().to_vec());
    fonts.load_font_data(dejavu::sans::bold().to_vec());
    fonts.set_sans_serif_family("DejaVu Sans");
    usvg::Options {
        font_family: "DejaVu Sans".to_owned(),
        fontdb: Arc::new(fonts),
        ..usvg::Options::default()
    }
});

/// Pictures as one PNG, `columns` side by side, as a `data:` address. Images of neither one nor three channels show
/// their first.
pub(super) fn sprite(images: &Images, indices: &[usize], columns: usize) -> Result<String, FileError> {
    let Shape { h, w, c } = images.shape();
    let out = if c == 3 { 3 } else { 1 };
    let (width, height) = (columns * w, indices.len().div_ceil(columns) * h);
    let mut pixels = vec![0u8; width * height * out];
    let mut scratch = Vec::new();
    for (place, &i) in indices.iter().enumerate() {
        let (left, top) = (place % columns * w, place / columns * h);
        // Features have no picture: their square stays black.
        let image = if images.are_floats() { &[] } else { images.image(i, &mut scratch)? };
        for (y, row) in image.chunks_exact(w * c).enumerate() {
            for (x, pixel) in row.chunks_exact(c).enumerate() {
                let at = ((top + y) * width + left + x) * out;
                pixels[at..at + out].copy_from_slice(&pixel[..out]);
            }
        }
    }
    let mut png = Vec::new();
    let colour = if out == 3 { image::ExtendedColorType::Rgb8 } else { image::ExtendedColorType::L8 };
    // Writing to memory fails only for sizes beyond the format's, and a sprite is made of a few thousand thumbnails.
    let written = image::codecs::png::PngEncoder::new_with_quality(
        &mut png,
        image::codecs::png::CompressionType::Best,
        image::codecs::png::FilterType::Adaptive,
    )
    .write_image(&pixels, width as u32, height as u32, colour);
    if written.is_err() {
        png.clear();
    }
    Ok(format!("data:image/png;base64,{}", base64::engine::general_purpose::STANDARD.encode(png)))
}

/// One image, `side` units along its longer side, its centre at `(x, y)`.
pub(super) fn picture(images: &Images, i: usize, x: f64, y: f64, side: f64) -> Result<Markup, FileError> {
    let (w, h) = fitted(images.shape(), side);
    Ok(html! {
        image x=(N(x - w / 2.0)) y=(N(y - h / 2.0)) width=(N(w)) height=(N(h)) image-rendering="optimizeSpeed"
            href=(sprite(images, &[i], 1)?) {}
    })
}

/// An image's width and height if the longer one is `side`.
pub(super) fn fitted(shape: Shape, side: f64) -> (f64, f64) {
    let (w, h) = (shape.w as f64, shape.h as f64);
    (side * w / w.max(h), side * h / w.max(h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_appears_in_png_without_any_system_font() {
        let figure = |text: &str| Figure {
            name: "test",
            title: String::new(),
            caption: String::new(),
            panels: vec![Panel { title: text.to_owned(), height: 10.0, body: html! {} }],
            columns: 1,
        };
        let (none, some) = (figure("").png(1.0).unwrap(), figure("anchor").png(1.0).unwrap());
        let dark = |png: &[u8]| {
            let picture = image::load_from_memory(png).unwrap().to_luma8();
            picture.pixels().filter(|p| p.0[0] < 100).count()
        };
        assert_eq!(dark(&none), 0);
        assert!(dark(&some) > 50, "{}", dark(&some));
    }

    #[test]
    fn sprites_set_images_side_by_side() {
        let images = Images::new(Shape { h: 1, w: 2, c: 1 }, vec![1, 2, 3, 4, 5, 6]);
        let uri = sprite(&images, &[2, 0, 1], 2).unwrap();
        let png =
            base64::engine::general_purpose::STANDARD.decode(&uri["data:image/png;base64,".len()..]).unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_luma8();
        assert_eq!((picture.dimensions(), picture.into_raw()), ((4, 2), vec![5, 6, 1, 2, 3, 4, 0, 0]));
    }
}
