//! The part of a picture that is kept before it is scaled.

use crate::images::Shape;
use crate::suggest::did_you_mean;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The part of a picture that is kept before it is scaled.
///
/// Written as a share (`0.875`), as `whole`, as a place (`centre`, `top`, `bottom`, `left`, `right`), or as a window `x:y:w:h`; with commas in the
/// place of colons where that is not ambiguous.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(with = "Written"))]
pub enum Crop {
    /// This share of height and width, in the middle; 1 for the whole picture.
    Middle(f64),
    /// The largest part of the proportions that the picture is scaled to, at this place.
    At(Place),
    /// Left, top, width and height: as shares of the picture's width and height where none is above 1, in pixels otherwise.
    Window([f64; 4]),
}

/// Where a part of a picture lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the middle.
    Centre,
    /// At the top, and in the middle across.
    Top,
    /// At the bottom, and in the middle across.
    Bottom,
    /// At the left, and in the middle down.
    Left,
    /// At the right, and in the middle down.
    Right,
}

impl Place {
    const ALL: [(&str, Place); 5] = [
        ("centre", Place::Centre),
        ("top", Place::Top),
        ("bottom", Place::Bottom),
        ("left", Place::Left),
        ("right", Place::Right),
    ];
}

const WHOLE: &str = "whole";

impl Crop {
    /// The whole picture.
    pub const WHOLE: Crop = Crop::Middle(1.0);

    /// Whether all of a picture is kept.
    pub fn is_whole(&self) -> bool {
        *self == Crop::WHOLE
    }

    /// Refuses numbers that no picture has a part for.
    ///
    /// # Errors
    ///
    /// If a share is not above 0 and up to 1, or a window has no size or lies beyond the picture.
    pub fn check(&self) -> Result<(), String> {
        match *self {
            Crop::Middle(share) if !(share > 0.0 && share <= 1.0) => {
                Err(format!("crop is a share above 0 and up to 1, not '{share}'"))
            }
            Crop::Window(window) => {
                let [x, y, w, h] = window;
                let beyond = is_shares(window) && (x + w > 1.0 + 1e-9 || y + h > 1.0 + 1e-9);
                if window.iter().any(|v| !(*v >= 0.0 && *v <= 1e6)) || w <= 0.0 || h <= 0.0 || beyond {
                    return Err(format!("crop '{self}' is no window left:top:width:height within a picture"));
                }
                Ok(())
            }
            Crop::Middle(_) | Crop::At(_) => Ok(()),
        }
    }

    /// The part of a picture of this shape that will be scaled to a height and a width: left, top, right, bottom in pixels. Nothing where it is all.
    ///
    /// # Errors
    ///
    /// If a window reaches beyond the picture; the text says so.
    pub(super) fn part(&self, picture: Shape, [h, w]: [usize; 2]) -> Result<Option<[u32; 4]>, String> {
        let (high, wide) = (picture.h, picture.w);
        let share = |side: usize, of: f64| (side as f64 * of).round() as usize;
        let [x, y, w, h] = match *self {
            Crop::Middle(share) if share >= 1.0 => return Ok(None),
            Crop::Middle(of) => {
                let (h, w) = (share(high, of).max(1), share(wide, of).max(1));
                [(wide - w) / 2, (high - h) / 2, w, h]
            }
            Crop::At(place) => {
                let zoom = (wide as f64 / w as f64).min(high as f64 / h as f64);
                let side = |wanted: usize, has: usize| share(wanted, zoom).clamp(1, has);
                let (w, h) = (side(w, wide), side(h, high));
                let x = match place {
                    Place::Left => 0,
                    Place::Right => wide - w,
                    Place::Centre | Place::Top | Place::Bottom => (wide - w) / 2,
                };
                let y = match place {
                    Place::Top => 0,
                    Place::Bottom => high - h,
                    Place::Centre | Place::Left | Place::Right => (high - h) / 2,
                };
                [x, y, w, h]
            }
            Crop::Window(window) => {
                let [x, y, w, h] = window;
                // Both edges are rounded, so that windows that touch share no pixel.
                let [x1, y1, x2, y2] = if is_shares(window) {
                    [share(wide, x), share(high, y), share(wide, x + w), share(high, y + h)]
                } else {
                    [x, y, x + w, y + h].map(|v| v.round() as usize)
                };
                if x2 > wide || y2 > high {
                    return Err(format!(
                        "the crop {self} reaches beyond it: it is {wide} wide and {high} high"
                    ));
                }
                [
                    x1.min(wide - 1),
                    y1.min(high - 1),
                    x2.saturating_sub(x1).max(1),
                    y2.saturating_sub(y1).max(1),
                ]
            }
        };
        let part = [x, y, x + w, y + h];
        let all = [0, 0, wide, high];
        Ok((part != all).then(|| part.map(|v| v as u32)))
    }
}

/// Whether a window is meant in shares.
fn is_shares(window: [f64; 4]) -> bool {
    window.iter().all(|v| *v <= 1.0)
}

impl FromStr for Crop {
    type Err = String;

    fn from_str(text: &str) -> Result<Crop, String> {
        let text = text.trim();
        let place = Place::ALL.iter().find(|(name, _)| *name == text).map(|(_, place)| Crop::At(*place));
        let numbers: Vec<f64> = text
            .split([':', ','])
            .map_while(|v| v.trim().parse().ok())
            .filter(|v: &f64| v.is_finite())
            .collect();
        let crop = match (place, &numbers[..]) {
            (Some(place), _) => place,
            _ if text == WHOLE => Crop::WHOLE,
            (None, [share]) if !text.contains([':', ',']) => Crop::Middle(*share),
            (None, [x, y, w, h]) if text.split([':', ',']).count() == 4 => Crop::Window([*x, *y, *w, *h]),
            _ => {
                let names = [WHOLE].into_iter().chain(Place::ALL.iter().map(|p| p.0));
                let hint = did_you_mean(text, names);
                return Err(format!(
                    "crop is a share such as 0.875, whole, centre, top, bottom, left, right, or left:top:width:height, not '{text}'{hint}"
                ));
            }
        };
        crop.check().map(|()| crop)
    }
}

impl fmt::Display for Crop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Crop::Middle(share) => share.fmt(f),
            Crop::At(place) => {
                let name = Place::ALL.iter().find(|(_, p)| p == place).map_or("", |p| p.0);
                f.write_str(name)
            }
            Crop::Window([x, y, w, h]) => write!(f, "{x}:{y}:{w}:{h}"),
        }
    }
}

/// As a file has it: a share as a number, all else as text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
enum Written {
    Share(f64),
    Text(String),
}

impl From<Crop> for Written {
    fn from(crop: Crop) -> Written {
        match crop {
            Crop::Middle(share) => Written::Share(share),
            Crop::At(_) | Crop::Window(_) => Written::Text(crop.to_string()),
        }
    }
}

impl TryFrom<Written> for Crop {
    type Error = String;

    fn try_from(written: Written) -> Result<Crop, String> {
        let crop = match written {
            Written::Share(share) => Crop::Middle(share),
            Written::Text(text) => text.parse()?,
        };
        crop.check().map(|()| crop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["0.875", "centre", "top", "bottom", "left", "right", "0:20:92:92", "0.1:0.2:0.5:0.8"] {
            let crop: Crop = text.parse().unwrap();
            assert_eq!(crop.to_string(), text);
            let json = serde_json::to_string(&crop).unwrap();
            assert_eq!(serde_json::from_str::<Crop>(&json).unwrap(), crop, "{json}");
        }
        assert_eq!("whole".parse::<Crop>().unwrap(), Crop::WHOLE);
        assert_eq!("0,20,92,92".parse::<Crop>().unwrap(), Crop::Window([0.0, 20.0, 92.0, 92.0]));
        assert_eq!(serde_json::to_string(&Crop::WHOLE).unwrap(), "1.0");
        for text in [
            "0",
            "2",
            "-1",
            "nan",
            "1:2:3",
            "0:0:0:5",
            "0:0:5:0",
            "0.5:0:0.6:1",
            "-1:0:5:5",
            "1:2:3:x",
            "1:2:3:4:5",
        ] {
            assert!(text.parse::<Crop>().is_err(), "{text}");
        }
        assert!("botom".parse::<Crop>().unwrap_err().contains("did you mean 'bottom'"));
        assert!(serde_json::from_str::<Crop>("1.5").is_err());
    }

    #[test]
    fn parts_lie_where_they_are_said_to() {
        let tall = Shape { h: 112, w: 92, c: 1 };
        let part = |text: &str, of: Shape, to: [usize; 2]| text.parse::<Crop>().unwrap().part(of, to);
        let square = |text: &str| part(text, tall, [150, 150]).unwrap();
        assert_eq!(square("1"), None);
        assert_eq!(square("0.5"), Some([23, 28, 69, 84]));
        assert_eq!(square("centre"), Some([0, 10, 92, 102]));
        assert_eq!(square("left"), square("centre"));
        assert_eq!(square("top"), Some([0, 0, 92, 92]));
        assert_eq!(square("bottom"), Some([0, 20, 92, 112]));
        assert_eq!(square("0:20:92:92"), square("bottom"));
        assert_eq!(square("0:0.5:1:0.5"), Some([0, 56, 92, 112]));
        assert_eq!(square("0:0:1:1"), None, "all, as shares");
        assert_eq!(square("0:0:92:112"), None, "all, in pixels");
        let wide = Shape { h: 10, w: 40, c: 3 };
        assert_eq!(part("right", wide, [20, 40]).unwrap(), Some([20, 0, 40, 10]));
        assert_eq!(part("left", wide, [20, 40]).unwrap(), Some([0, 0, 20, 10]));
        // Of the right proportions already, and a picture of one pixel.
        assert_eq!(part("top", wide, [5, 20]).unwrap(), None);
        let dot = Shape { h: 1, w: 1, c: 1 };
        for text in ["0.1", "centre", "bottom", "0:0:0.1:0.1", "0.9:0.9:0.1:0.1"] {
            assert_eq!(part(text, dot, [7, 3]).unwrap(), None, "{text}");
        }
        let beyond = part("0:20:92:92", wide, [20, 20]).unwrap_err();
        assert!(beyond.contains("40 wide and 10 high"), "{beyond}");
    }
}
