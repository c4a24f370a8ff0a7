//! A figure: panels of vector graphics, which the page lets wrap and a file sets side by side.

use super::numbers::Numbers;
use super::text::{Anchor, written};
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

/// Every panel's width: what a page on a phone of 375 pixels has, so that text stays readable there.
pub(super) const WIDTH: f64 = 340.0;
/// The height of a panel's title.
pub(super) const HEAD: f64 = 26.0;
const GAP: f64 = 16.0;

/// One drawing. Its coordinates begin at the upper left, below the title.
#[derive(Clone, Debug)]
pub(super) struct Panel {
    pub(super) title: String,
    /// What it shows, for who does not see it: a sentence or a few.
    pub(super) says: String,
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
    /// The numbers that it shows.
    pub numbers: Numbers,
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
            // Who reaches dots by the keyboard stops at the drawing, and goes from dot to dot there.
            svg class="panel" viewBox=(format!("0 0 {WIDTH} {}", N(self.height + HEAD))) role="img" aria-label=(self.described())
                tabindex=[self.has_dots().then_some("0")] {
                (self.content())
            }
        }
    }

    fn has_dots(&self) -> bool {
        self.body.0.contains("data-i=")
    }

    /// The title, and what it shows.
    fn described(&self) -> String {
        let parts = [self.title.trim_end_matches(':'), &self.says];
        parts.iter().filter(|p| !p.is_empty()).copied().collect::<Vec<_>>().join(": ")
    }

    pub(super) fn content(&self) -> Markup {
        html! {
            (written("t f-ink", (0.0, 14.0), Anchor::Start, &self.title, WIDTH))
            g transform=(format!("translate(0 {HEAD})")) { (self.body) }
        }
    }
}

impl Figure {
    /// What it shows, and how that was measured.
    fn described(&self) -> String {
        let mut parts: Vec<String> = self.panels.iter().map(Panel::described).collect();
        parts.retain(|p| !p.is_empty());
        parts.push(self.caption.clone());
        parts.join(" ")
    }

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
                desc { (self.described()) }
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

pub(super) static OPTIONS: LazyLock<usvg::Options<'static>> = LazyLock::new(|| {
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

/// Longer sides from which on coloured pictures are kept as JPEG, and how well.
const PHOTO: usize = 48;
const QUALITY: u8 = 85;

/// Pictures as one, `columns` side by side, as a `data:` address: PNG, or JPEG for photos.
pub(super) fn sprite(images: &Images, indices: &[usize], columns: usize) -> Result<String, FileError> {
    let Shape { h, w, .. } = images.shape();
    let (pixels, width, height, out) = side_by_side(images, indices, columns)?;
    // Photos of some size are a tenth as JPEG; small pictures stay exact.
    if out == 3 && h.max(w) >= PHOTO {
        let mut jpeg = Vec::new();
        let written = image::codecs::jpeg::JpegEncoder::new_with_quality(&mut jpeg, QUALITY).write_image(
            &pixels,
            width as u32,
            height as u32,
            image::ExtendedColorType::Rgb8,
        );
        if written.is_ok() {
            let data = base64::engine::general_purpose::STANDARD.encode(jpeg);
            return Ok(format!("data:image/jpeg;base64,{data}"));
        }
    }
    Ok(format!(
        "data:image/png;base64,{}",
        base64::engine::general_purpose::STANDARD.encode(png(&pixels, width, height, out))
    ))
}

/// Pixels of pictures side by side, with width, height and channels. Images of neither one nor three channels show their first.
fn side_by_side(
    images: &Images,
    indices: &[usize],
    columns: usize,
) -> Result<(Vec<u8>, usize, usize, usize), FileError> {
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
    Ok((pixels, width, height, out))
}

/// Pictures as one PNG file, `columns` side by side.
pub(super) fn encoded(images: &Images, indices: &[usize], columns: usize) -> Result<Vec<u8>, FileError> {
    let (pixels, width, height, out) = side_by_side(images, indices, columns)?;
    Ok(png(&pixels, width, height, out))
}

fn png(pixels: &[u8], width: usize, height: usize, channels: usize) -> Vec<u8> {
    let mut png = Vec::new();
    let colour = if channels == 3 { image::ExtendedColorType::Rgb8 } else { image::ExtendedColorType::L8 };
    // Writing to memory fails only for sizes beyond the format's, and a sprite is made of a few thousand thumbnails.
    let written = image::codecs::png::PngEncoder::new_with_quality(
        &mut png,
        image::codecs::png::CompressionType::Best,
        image::codecs::png::FilterType::Adaptive,
    )
    .write_image(pixels, width as u32, height as u32, colour);
    if written.is_err() {
        png.clear();
    }
    png
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
            numbers: Numbers::default(),
            panels: vec![Panel { title: text.to_owned(), says: String::new(), height: 10.0, body: html! {} }],
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
