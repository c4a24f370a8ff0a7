//! Preparation: what is done to every picture before a network sees it.
//!
//! It belongs to the model and is saved with it, so that training, embedding and serving cannot disagree.

use super::crop::Crop;
use super::decode::Decoding;
use super::picture::{Picture, fitted};
use crate::images::Shape;
use crate::suggest::did_you_mean;
use alike_resize::{Kernel, Pixels};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a picture of another size becomes one of the right size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resize {
    /// All of it is seen; what is left beside it has the mean colour of its border.
    Fit,
    /// All is filled; what stands out at two sides is cut off.
    Fill,
    /// Height and width are scaled apart.
    Squash,
    /// Not at all: a picture of another size is refused.
    Exact,
}

impl Resize {
    /// Their names.
    pub const NAMES: [&str; 4] = ["fit", "fill", "squash", "exact"];
    const ALL: [Resize; 4] = [Resize::Fit, Resize::Fill, Resize::Squash, Resize::Exact];
}

impl FromStr for Resize {
    type Err = String;

    fn from_str(s: &str) -> Result<Resize, String> {
        let at = Resize::NAMES.iter().position(|name| *name == s);
        at.map(|i| Resize::ALL[i]).ok_or_else(|| {
            format!(
                "resize is one of {}, not '{s}'{}",
                Resize::NAMES.join(", "),
                did_you_mean(s, Resize::NAMES)
            )
        })
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Resize::NAMES[*self as usize])
    }
}

/// How the pixels of a scaled picture are computed. Where a picture becomes smaller, every pixel is a weighted mean of all that it covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Filter {
    /// Weights that fall linearly: what this program's own networks are trained with.
    #[default]
    Bilinear,
    /// Cubic weights (Catmull and Rom's, as Pillow has them): what many networks of others were trained with.
    Bicubic,
}

impl Filter {
    /// Their names.
    pub const NAMES: [&str; 2] = ["bilinear", "bicubic"];
    const ALL: [Filter; 2] = [Filter::Bilinear, Filter::Bicubic];
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(s: &str) -> Result<Filter, String> {
        let at = Filter::NAMES.iter().position(|name| *name == s);
        at.map(|i| Filter::ALL[i]).ok_or_else(|| {
            format!(
                "filter is one of {}, not '{s}'{}",
                Filter::NAMES.join(", "),
                did_you_mean(s, Filter::NAMES)
            )
        })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Filter::NAMES[*self as usize])
    }
}

/// What is done to every picture, in this order: stretch, crop, grey or colour, resize, invert.
///
/// Written `size=64x64,channels=1,resize=fit,crop=1,invert=false,stretch=false`, with `filter=bicubic` where that is not the usual one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Preparation {
    /// What comes of it.
    pub shape: Shape,
    /// How it gets its size.
    pub resize: Resize,
    /// The part that is kept.
    pub crop: Crop,
    /// Black becomes white.
    pub invert: bool,
    /// Brightness is spread from black to white.
    pub stretch: bool,
    /// How the pixels of a scaled picture are computed.
    pub filter: Filter,
}

/// A preparation of which only some is decided: what a user says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PreparationWish {
    /// Height and width.
    pub size: Option<[usize; 2]>,
    /// 1 for grey, 3 for colour.
    pub channels: Option<usize>,
    /// See [`Preparation::resize`].
    pub resize: Option<Resize>,
    /// See [`Preparation::crop`].
    pub crop: Option<Crop>,
    /// See [`Preparation::invert`].
    pub invert: Option<bool>,
    /// See [`Preparation::stretch`].
    pub stretch: Option<bool>,
    /// See [`Preparation::filter`].
    pub filter: Option<Filter>,
}

const KEYS: [&str; 7] = ["size", "channels", "resize", "crop", "invert", "stretch", "filter"];
const MOST_SIDE: usize = 1024;

impl FromStr for PreparationWish {
    type Err = String;

    fn from_str(text: &str) -> Result<PreparationWish, String> {
        let mut wish = PreparationWish::default();
        for pair in text.split(',').map(str::trim).filter(|p| !p.is_empty()) {
            // `invert` alone means that it is wanted.
            let (key, value) = pair.split_once('=').unwrap_or((pair, "true"));
            let (key, value) = (key.trim(), value.trim());
            let truth = || match value {
                "true" => Ok(Some(true)),
                "false" => Ok(Some(false)),
                _ => Err(format!("{key} is true or false, not '{value}'")),
            };
            match key {
                "size" => wish.size = Some(size(value)?),
                "channels" => {
                    wish.channels = Some(match value {
                        "1" | "grey" | "gray" => 1,
                        "3" | "colour" | "color" => 3,
                        _ => return Err(format!("channels is 1 (or grey) or 3 (or colour), not '{value}'")),
                    });
                }
                "resize" => wish.resize = Some(value.parse()?),
                "filter" => wish.filter = Some(value.parse()?),
                "crop" => wish.crop = Some(value.parse()?),
                "invert" => wish.invert = truth()?,
                "stretch" => wish.stretch = truth()?,
                _ => {
                    let hint = did_you_mean(key, KEYS);
                    return Err(format!("a preparation has no '{key}'{hint} (it has: {})", KEYS.join(", ")));
                }
            }
        }
        Ok(wish)
    }
}

fn size(text: &str) -> Result<[usize; 2], String> {
    let side = |s: &str| s.trim().parse().ok().filter(|n| (1..=MOST_SIDE).contains(n));
    let (h, w) = text.split_once('x').unwrap_or((text, text));
    match (side(h), side(w)) {
        (Some(h), Some(w)) => Ok([h, w]),
        _ => Err(format!("size is HEIGHTxWIDTH or one number, from 1 to {MOST_SIDE}, not '{text}'")),
    }
}

impl PreparationWish {
    /// The whole preparation, where `usual` is what holds unless something was said.
    pub fn over(&self, usual: Preparation) -> Preparation {
        let [h, w] = self.size.unwrap_or([usual.shape.h, usual.shape.w]);
        Preparation {
            shape: Shape { h, w, c: self.channels.unwrap_or(usual.shape.c) },
            resize: self.resize.unwrap_or(match (self.size, usual.resize) {
                // A size that was asked for is not one that all have already.
                (Some(_), Resize::Exact) => Resize::Fit,
                (_, usual) => usual,
            }),
            crop: self.crop.unwrap_or(usual.crop),
            invert: self.invert.unwrap_or(usual.invert),
            stretch: self.stretch.unwrap_or(usual.stretch),
            filter: self.filter.unwrap_or(usual.filter),
        }
    }

    /// The same wish, where what was not said is as in `usual`.
    pub fn or(&self, usual: Preparation) -> PreparationWish {
        let Preparation { shape: Shape { h, w, c }, resize, crop, invert, stretch, filter } =
            self.over(usual);
        PreparationWish {
            size: Some([h, w]),
            channels: Some(c),
            resize: Some(resize),
            crop: Some(crop),
            invert: Some(invert),
            stretch: Some(stretch),
            filter: Some(filter),
        }
    }
}

impl Preparation {
    /// Pictures are taken as they are, and those of another size refused.
    pub fn exact(shape: Shape) -> Preparation {
        Preparation {
            shape,
            resize: Resize::Exact,
            crop: Crop::WHOLE,
            invert: false,
            stretch: false,
            filter: Filter::Bilinear,
        }
    }

    /// How a picture is decoded that will be prepared so.
    pub fn decoding(&self) -> Decoding {
        // A crop ends between pixels of a reduced picture.
        let scaled = self.resize != Resize::Exact && self.crop.is_whole();
        Decoding {
            at_least: scaled.then_some([self.shape.h, self.shape.w]),
            fit: self.resize == Resize::Fit,
            stretch: self.stretch,
        }
    }

    /// Writes the prepared picture.
    ///
    /// # Errors
    ///
    /// If it is not of the size that a preparation without scaling asks for; the text says what to do.
    ///
    /// # Panics
    ///
    /// If `out` is not [`Preparation::shape`] long.
    pub fn apply(&self, picture: &Picture, out: &mut [u8]) -> Result<(), String> {
        assert_eq!(out.len(), self.shape.len(), "prepare: one image");
        let cropped;
        let mut picture = picture;
        if let Some(part) = self.crop.part(picture.shape, [self.shape.h, self.shape.w])? {
            cropped = picture.part(part).map_err(|e| e.to_string())?;
            picture = &cropped;
        }
        let Shape { h, w, c } = self.shape;
        let recoloured;
        if picture.shape.c != c {
            // Features, say.
            if ![1, 3].contains(&c) || ![1, 3].contains(&picture.shape.c) {
                return Err(format!("it has {} channels, and is to have {c}", picture.shape.c));
            }
            recoloured = recolour(picture, c);
            picture = &recoloured;
        }
        let from = picture.shape;
        if from == self.shape {
            out.copy_from_slice(&picture.pixels);
        } else {
            match self.resize {
                Resize::Exact => {
                    return Err(format!(
                        "it is {} pixels high and {} wide, not {h} x {w}; say how to scale it: resize=fit, fill or squash",
                        from.h, from.w
                    ));
                }
                Resize::Squash => {
                    scale(picture, [0.0, 0.0, from.w as f64, from.h as f64], [h, w], self.filter, out)?;
                }
                Resize::Fill => {
                    // The largest part of the right proportions, in the middle.
                    let zoom = (from.w as f64 / w as f64).min(from.h as f64 / h as f64);
                    let (pw, ph) = (w as f64 * zoom, h as f64 * zoom);
                    let part = [(from.w as f64 - pw) / 2.0, (from.h as f64 - ph) / 2.0, pw, ph];
                    scale(picture, part, [h, w], self.filter, out)?;
                }
                Resize::Fit => {
                    let [fh, fw] = fitted([from.h, from.w], [h, w]);
                    let mut inner = vec![0; fh * fw * c];
                    scale(
                        picture,
                        [0.0, 0.0, from.w as f64, from.h as f64],
                        [fh, fw],
                        self.filter,
                        &mut inner,
                    )?;
                    let border = border(picture);
                    out.chunks_exact_mut(c).for_each(|p| p.copy_from_slice(&border[..c]));
                    let (top, left) = ((h - fh) / 2, (w - fw) / 2);
                    for (y, row) in inner.chunks_exact(fw * c).enumerate() {
                        out[((top + y) * w + left) * c..][..fw * c].copy_from_slice(row);
                    }
                }
            }
        }
        if self.invert {
            out.iter_mut().for_each(|v| *v = 255 - *v);
        }
        Ok(())
    }
}

impl fmt::Display for Preparation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Preparation { shape: Shape { h, w, c }, resize, crop, invert, stretch, filter } = self;
        write!(f, "size={h}x{w},channels={c},resize={resize},crop={crop},invert={invert},stretch={stretch}")?;
        // The usual filter is not named, so that what was written before there were others stays as it is.
        if *filter == Filter::default() { Ok(()) } else { write!(f, ",filter={filter}") }
    }
}

impl FromStr for Preparation {
    type Err = String;

    fn from_str(text: &str) -> Result<Preparation, String> {
        let wish: PreparationWish = text.parse()?;
        let (Some([h, w]), Some(c)) = (wish.size, wish.channels) else {
            return Err(format!("'{text}' gives no size and channels"));
        };
        Ok(wish.over(Preparation::exact(Shape { h, w, c })))
    }
}

#[cfg(feature = "schema")]
crate::text::text_schema!(Preparation);

impl Serialize for Preparation {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Preparation {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Preparation, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Grey to colour, or colour to its brightness (ITU-R BT.601, as JPEG and most programs for pictures have it).
fn recolour(picture: &Picture, c: usize) -> Picture {
    let shape = Shape { c, ..picture.shape };
    let pixels = if c == 3 {
        picture.pixels.iter().flat_map(|v| [*v; 3]).collect()
    } else {
        picture
            .pixels
            .chunks_exact(3)
            .map(|p| {
                let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
                ((299 * r + 587 * g + 114 * b + 500) / 1000) as u8
            })
            .collect()
    };
    Picture { shape, pixels }
}

/// The mean of the outermost pixels, by channel.
fn border(picture: &Picture) -> [u8; 3] {
    let Shape { h, w, c } = picture.shape;
    let (mut sums, mut n) = ([0u64; 3], 0);
    let mut add = |x: usize, y: usize| {
        picture.pixels[(y * w + x) * c..][..c].iter().zip(&mut sums).for_each(|(v, s)| *s += u64::from(*v));
        n += 1;
    };
    for x in 0..w {
        add(x, 0);
        add(x, h - 1);
    }
    for y in 0..h {
        add(0, y);
        add(w - 1, y);
    }
    sums.map(|s| ((s + n / 2) / n) as u8)
}

/// Scales a part, `[left, top, width, height]`, to a size: every pixel the weighted mean of what it covers.
fn scale(
    picture: &Picture,
    part: [f64; 4],
    size: [usize; 2],
    filter: Filter,
    out: &mut [u8],
) -> Result<(), String> {
    let Shape { h, w, c } = picture.shape;
    let pixels = Pixels { size: [h, w], channels: c, bytes: &picture.pixels };
    let kernel = match filter {
        Filter::Bilinear => Kernel::Bilinear,
        Filter::Bicubic => Kernel::CatmullRom,
    };
    alike_resize::scale(pixels, part, size, kernel, out).map_err(|e| format!("it cannot be scaled: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::decode::{decode, header};

    fn ramp(h: usize, w: usize) -> Picture {
        let pixels = (0..h * w).map(|i| ((i % w) * 255 / (w - 1).max(1)) as u8).collect();
        Picture { shape: Shape { h, w, c: 1 }, pixels }
    }

    fn prepared(text: &str, picture: &Picture) -> Result<Vec<u8>, String> {
        let preparation: Preparation = text.parse().unwrap();
        let mut out = vec![0; preparation.shape.len()];
        preparation.apply(picture, &mut out).map(|()| out)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let text = "size=32x48,channels=3,resize=fill,crop=0.875,invert=true,stretch=false";
        assert_eq!(text.parse::<Preparation>().unwrap().to_string(), text);
        let cubic = format!("{text},filter=bicubic");
        assert_eq!(cubic.parse::<Preparation>().unwrap().to_string(), cubic);
        assert!("filter=cubic".parse::<PreparationWish>().unwrap_err().contains("did you mean 'bicubic'"));
        let wish: PreparationWish = "size=32, invert".parse().unwrap();
        assert_eq!((wish.size, wish.invert, wish.crop), (Some([32, 32]), Some(true), None));
        let usual = Preparation::exact(Shape { h: 9, w: 9, c: 1 });
        assert_eq!(wish.over(usual).resize, Resize::Fit);
        let refused = |text: &str| text.parse::<PreparationWish>().unwrap_err();
        assert!(refused("sise=3").contains("did you mean 'size'"));
        assert!(refused("size=0").contains("from 1 to"));
        assert!(refused("resize=fits").contains("did you mean 'fit'"));
        assert!(refused("crop=2").contains("share"));
        assert!(refused("channels=4").contains("grey"));
        assert!(refused("invert=yes").contains("true or false"));
    }

    #[test]
    fn fit_shows_all_fill_cuts_and_squash_distorts() {
        let wide = ramp(4, 16);
        let fit = prepared("size=8x8,channels=1,resize=fit", &wide).unwrap();
        let border = fit[0];
        assert!(fit[..24].iter().chain(&fit[40..]).all(|v| *v == border), "three rows above and below");
        assert!(fit[24] < 30 && fit[31] > 225 && fit[24..32].is_sorted());
        let fill = prepared("size=8x8,channels=1,resize=fill", &wide).unwrap();
        assert!(fill[0] > 80 && fill[7] < 175, "the middle alone: {:?}", &fill[..8]);
        let squash = prepared("size=8x8,channels=1,resize=squash", &wide).unwrap();
        assert!(squash[0] < 30 && squash[7] > 225 && squash[56..] == squash[..8]);
        assert!(prepared("size=8x8,channels=1,resize=exact", &wide).unwrap_err().contains("4 pixels high"));
        let crop = prepared("size=4x4,channels=1,resize=squash,crop=0.5", &wide).unwrap();
        assert!(crop[0] > 60 && crop[3] < 195, "{crop:?}");
    }

    #[test]
    fn colours_become_brightness_and_back_and_inversion_is_last() {
        let red = Picture { shape: Shape { h: 1, w: 1, c: 3 }, pixels: vec![255, 0, 0] };
        assert_eq!(prepared("size=1x1,channels=1", &red).unwrap(), [76]);
        assert_eq!(prepared("size=1x1,channels=3,invert", &red).unwrap(), [0, 255, 255]);
        let grey = Picture { shape: Shape { h: 1, w: 1, c: 1 }, pixels: vec![7] };
        assert_eq!(prepared("size=1x1,channels=3", &grey).unwrap(), [7, 7, 7]);
    }

    #[test]
    fn scaling_down_averages() {
        // A checkerboard of single pixels has no other shade once halved often enough.
        let pixels = (0..64 * 64).map(|i| if (i % 64 + i / 64) % 2 == 0 { 255 } else { 0 }).collect();
        let board = Picture { shape: Shape { h: 64, w: 64, c: 1 }, pixels };
        let small = prepared("size=8x8,channels=1,resize=squash", &board).unwrap();
        assert!(small.iter().all(|v| v.abs_diff(127) < 10), "{small:?}");
    }

    /// Every mode, proportion and format beside Pillow, which decodes whole files: `fixtures/prepare.py`. The bounds: a mean
    /// difference of 0.5 and a largest one of 2 grey levels, and for JPEG, whose decoders differ and which may be decoded at a
    /// reduced scale, 1.5 and 12 (found: 0.16 and 1; 0.9 and 7).
    #[test]
    fn every_mode_and_format_is_prepared_as_pillow_does() {
        let path =
            std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/prepare.safetensors");
        let bytes = std::fs::read(path).unwrap();
        let all = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let (mut seen, mut reduced) = (0, 0);
        for (name, right) in all.tensors() {
            let Some((file, text)) = name.split_once('|') else { continue };
            let preparation: Preparation = text.parse().unwrap();
            let data = all.tensor(&format!("file:{file}")).unwrap();
            let picture = decode(data.data(), preparation.decoding()).unwrap();
            let whole = header(data.data()).unwrap().shape;
            let smaller = picture.shape.h < whole.h;
            let mut out = vec![0; preparation.shape.len()];
            preparation.apply(&picture, &mut out).unwrap();
            assert_eq!(out.len(), right.data().len(), "{name}");
            let apart: Vec<u8> = out.iter().zip(right.data()).map(|(a, b)| a.abs_diff(*b)).collect();
            let mean = apart.iter().map(|v| f64::from(*v)).sum::<f64>() / apart.len() as f64;
            let most = f64::from(apart.iter().copied().max().unwrap());
            let [mean_bound, bound] = if file.ends_with("jpg") { [1.5, 12.0] } else { [0.5, 2.0] };
            assert!(mean <= mean_bound && most <= bound, "{name}: {mean} in the mean, {most} at most");
            (seen, reduced) = (seen + 1, reduced + usize::from(smaller));
        }
        assert!(seen > 300 && reduced > 20, "{seen}, {reduced} of them at a reduced scale");
    }
}
