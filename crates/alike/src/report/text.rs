//! Texts of figures: how wide they are, and how they are made to fit.

use super::figure::N;
use maud::{Markup, html};
use skrifa::instance::{LocationRef, Size};
use skrifa::{FontRef, MetadataProvider};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The size of small text, in units of a panel: that of a page on a phone is no smaller than 11 pixels.
pub(super) const SMALL: f64 = 11.0;
/// The size of other text.
pub(super) const BODY: f64 = 12.0;
/// The size of titles.
pub(super) const TITLE: f64 = 14.0;
/// From one line of small text to the next.
pub(super) const LINE: f64 = 13.0;

/// Classes whose names have at most so many letters keep them whole.
const LONG: usize = 20;

/// Widths of letters, as shares of the font's size: of the regular font and of the bold one.
static WIDTHS: LazyLock<[BTreeMap<char, f64>; 2]> = LazyLock::new(|| {
    [dejavu::sans::regular(), dejavu::sans::bold()].map(|data| {
        let Ok(font) = FontRef::new(data) else { return BTreeMap::new() };
        let metrics = font.glyph_metrics(Size::new(1.0), LocationRef::default());
        let wide = |(code, glyph)| Some((char::from_u32(code)?, f64::from(metrics.advance_width(glyph)?)));
        font.charmap().mappings().filter_map(wide).collect()
    })
});

/// What a letter takes that the font lacks: as much as a wide one.
const UNKNOWN: f64 = 1.0;

/// How wide a text is.
pub(super) fn width(text: &str, size: f64, bold: bool) -> f64 {
    let widths = &WIDTHS[usize::from(bold)];
    text.chars().map(|c| widths.get(&c).copied().unwrap_or(UNKNOWN)).sum::<f64>() * size
}

/// A text that is no wider than `room`: what is too much is left out of its middle, for names differ at their ends.
pub(super) fn shortened(text: &str, size: f64, bold: bool, room: f64) -> String {
    if width(text, size, bold) <= room {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    let cut = |kept: usize| -> String {
        let (head, tail) = (kept.div_ceil(2), kept / 2);
        let [head, tail] = [&letters[..head], &letters[letters.len() - tail..]].map(String::from_iter);
        format!("{}…{}", head.trim_end(), tail.trim_start())
    };
    // No letter narrows a text, so that the fewest letters that are too many are found by halving.
    let (mut fit, mut too_many) = (0, letters.len());
    while fit + 1 < too_many {
        let kept = fit + (too_many - fit) / 2;
        if width(&cut(kept), size, bold) <= room { fit = kept } else { too_many = kept }
    }
    Some(cut(fit)).filter(|t| width(t, size, bold) <= room).unwrap_or_default()
}

/// A text in lines no wider than `room`, broken between words; what does not fit into `most` lines is left out of the middle of the
/// last.
pub(super) fn wrapped(text: &str, size: f64, bold: bool, room: f64, most: usize) -> Vec<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut lines = Vec::new();
    let mut from = 0;
    while from < words.len() {
        let last = lines.len() + 1 == most;
        let mut wide = 0.0;
        let fits = |word: &&&str| {
            wide += width(word, size, bold) + if wide > 0.0 { width(" ", size, bold) } else { 0.0 };
            wide <= room
        };
        let fitting = words[from..].iter().take_while(fits).count().max(1);
        let to = if last { words.len() } else { from + fitting };
        lines.push(shortened(&words[from..to].join(" "), size, bold, room));
        from = to;
    }
    lines
}

/// How a line of text stands to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

impl Anchor {
    pub(super) fn name(self) -> &'static str {
        match self {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        }
    }
}

/// Text that is no wider than `room`; where some was left out, the whole is its title.
pub(super) fn written(class: &str, at: (f64, f64), anchor: Anchor, text: &str, room: f64) -> Markup {
    let (size, bold) = style(class);
    let short = shortened(text, size, bold, room);
    html! {
        text class=(class) x=(N(at.0)) y=(N(at.1)) text-anchor=(anchor.name()) {
            (short)
            @if short != text { title { (text) } }
        }
    }
}

/// The size that a class of text has, and whether it is bold.
fn style(class: &str) -> (f64, bool) {
    let has = |name: &str| class.split(' ').any(|c| c == name);
    let size = match (has("t"), has("s")) {
        (true, _) => TITLE,
        (_, true) => SMALL,
        _ => BODY,
    };
    (size, has("t") || has("b"))
}

/// What classes are called where there is little room: of names that are paths, as many of the last parts as tell them apart, and of long names
/// the words that not all have.
pub(super) fn short_names(classes: &[String]) -> Vec<String> {
    let names = last_parts(classes);
    let words: Vec<Vec<&str>> = names.iter().map(|name| name.split_whitespace().collect()).collect();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let fewest = words.iter().map(Vec::len).min().unwrap_or(0);
    if longest <= LONG || names.len() < 2 {
        return names;
    }
    let first = &words[0];
    let same = |from_end: bool| {
        let at = |all: &Vec<&str>, k: usize| if from_end { all.len() - 1 - k } else { k };
        (0..fewest).take_while(|k| words.iter().all(|w| w[at(w, *k)] == first[at(first, *k)])).count()
    };
    // Something is left of every name.
    let head = same(false).min(fewest.saturating_sub(1));
    let tail = same(true).min(fewest - head - usize::from(fewest > head));
    words.iter().map(|w| w[head..w.len() - tail].join(" ")).collect()
}

/// Of names that are paths, as many of the last parts as tell them apart.
fn last_parts(classes: &[String]) -> Vec<String> {
    let parts: Vec<Vec<&str>> =
        classes.iter().map(|c| c.split('/').filter(|p| !p.is_empty()).collect()).collect();
    let deepest = parts.iter().map(Vec::len).max().unwrap_or(0);
    let mut short: Vec<Option<String>> = vec![None; classes.len()];
    for take in 1..=deepest {
        let tail = |all: &Vec<&str>| all[all.len().saturating_sub(take)..].join("/");
        let mut met: BTreeMap<String, usize> = BTreeMap::new();
        parts.iter().for_each(|all| *met.entry(tail(all)).or_default() += 1);
        for (own, all) in short.iter_mut().zip(&parts).filter(|(own, all)| own.is_none() && !all.is_empty()) {
            *own = Some(tail(all)).filter(|name| met[name] == 1);
        }
    }
    short.into_iter().zip(classes).map(|(own, class)| own.unwrap_or_else(|| class.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_are_the_fonts() {
        // DejaVu Sans has 2048 units: i has an advance of 569, W of 2025; bold i of 702.
        assert!((width("i", 2048.0, false) - 569.0).abs() < 0.5, "{}", width("i", 2048.0, false));
        assert!((width("W", 2048.0, false) - 2025.0).abs() < 0.5, "{}", width("W", 2048.0, false));
        assert!((width("i", 2048.0, true) - 702.0).abs() < 0.5, "{}", width("i", 2048.0, true));
    }

    #[test]
    fn names_are_shortened_by_their_middle_and_wrapped_between_words() {
        let name = "Long-sleeved shirts and thin pullovers";
        let short = shortened(name, SMALL, false, 80.0);
        assert!(short.starts_with("Lon") && short.ends_with("ers") && short.contains('…'), "{short}");
        assert!(width(&short, SMALL, false) <= 80.0);
        assert_eq!(shortened("hat", SMALL, false, 80.0), "hat");
        let lines = wrapped("Skirts, short and long", SMALL, false, 60.0, 2);
        assert_eq!(lines.len(), 2);
        assert!(lines.iter().all(|l| width(l, SMALL, false) <= 60.0), "{lines:?}");
        assert_eq!(lines[0], "Skirts,");
    }

    #[test]
    fn nested_names_are_their_last_part_where_that_tells_them_apart() {
        let names = ["Fruit/Apple/Gala", "Fruit/Pear/Anjou", "Veg/Pear/Anjou"].map(str::to_owned);
        assert_eq!(short_names(&names), ["Gala", "Fruit/Pear/Anjou", "Veg/Pear/Anjou"]);
        assert_eq!(short_names(&["a/x".into(), "b/x".into(), "c/y".into()]), ["a/x", "b/x", "y"]);
        let long = ["Piece hat of the autumn catalogue", "Piece long shirt of the autumn catalogue"]
            .map(str::to_owned);
        assert_eq!(short_names(&long), ["hat", "long shirt"]);
        let within = ["a very long name of a class", "a very long name of a class too"].map(str::to_owned);
        assert_eq!(short_names(&within), ["class", "class too"]);
        assert_eq!(short_names(&["a thing".into(), "a thing too".into()]), ["a thing", "a thing too"]);
    }
}
