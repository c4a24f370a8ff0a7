//! Rows of pictures: one that leads, and others that follow, each with a word below.

use crate::files::FileError;
use crate::images::Images;
use crate::report::figure::{Figure, N, Panel, WIDTH, picture};
use crate::report::numbers::Numbers;
use crate::report::text::{Anchor, LINE, SMALL, width, wrapped, written};
use maud::{Markup, html};

/// What a picture's frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing.
    Plain,
    /// It is right.
    Right,
    /// It is wrong: dashed, so that colour is not all that tells.
    Wrong,
}

impl Tone {
    /// As a table has it.
    fn name(self) -> &'static str {
        match self {
            Tone::Plain => "",
            Tone::Right => "right",
            Tone::Wrong => "wrong",
        }
    }
}

/// A picture with its word.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// The picture is image `i` of these.
    pub images: &'a Images,
    /// Its number.
    pub i: usize,
    /// What stands below it, in two lines at most; shortened in its middle where it is long.
    pub text: String,
    /// What stands below that.
    pub note: String,
    /// Its frame.
    pub tone: Tone,
}

impl<'a> Shown<'a> {
    /// Image `i` with a word below.
    pub fn new(images: &'a Images, i: usize, text: impl Into<String>, tone: Tone) -> Shown<'a> {
        Shown { images, i, text: text.into(), note: String::new(), tone }
    }

    /// The same with its distance below the word.
    pub fn far(self, distance: f64) -> Shown<'a> {
        self.noting(format!("{distance:.3}"))
    }

    /// The same with another word below the first.
    pub fn noting(self, note: impl Into<String>) -> Shown<'a> {
        Shown { note: note.into(), ..self }
    }

    /// A picture without a word, or `blank` where there is none.
    pub fn or_blank(picture: &'a Option<(Images, usize)>, blank: &'a Images) -> Shown<'a> {
        let (images, i) = picture.as_ref().map_or((blank, 0), |(images, i)| (images, *i));
        Shown::new(images, i, "", Tone::Plain)
    }
}

/// A picture, and those that follow it.
#[derive(Clone, Debug)]
pub struct PictureRow<'a> {
    /// First in the row, alone; none in a sheet.
    pub lead: Option<Shown<'a>>,
    /// What stands above the row, if anything.
    pub heading: String,
    /// In as many lines as they take.
    pub others: Vec<Shown<'a>>,
}

/// A picture's side.
const SIDE: f64 = 44.0;
/// Between a picture and its word, and between a line of pictures and the next.
const SPACE: f64 = 8.0;
const HEADING: f64 = 18.0;
/// Pictures of a line, beside one that leads and without.
pub(super) const ACROSS: [usize; 2] = [5, 6];
/// Pairs of a line.
pub(super) const PAIRS_ACROSS: usize = 3;
/// Lines of a word.
const LINES: usize = 2;

/// A figure of panels, each with a title and rows of pictures.
///
/// # Errors
///
/// If a picture cannot be read.
pub fn picture_rows(
    name: &'static str,
    title: impl Into<String>,
    caption: impl Into<String>,
    panels: &[(&str, Vec<PictureRow<'_>>)],
) -> Result<Figure, FileError> {
    let numbers = numbers(panels);
    let panels = panels.iter().map(|(title, rows)| panel(title, rows)).collect::<Result<_, _>>()?;
    Ok(Figure { name, title: title.into(), caption: caption.into(), numbers, panels, columns: 2 })
}

/// What rows of pictures say, as a table.
pub(super) fn numbers(panels: &[(&str, Vec<PictureRow<'_>>)]) -> Numbers {
    let mut table = Numbers::new(&["panel", "row", "heading", "asks", "place", "shown", "note", "mark"]);
    for (title, rows) in panels {
        for (k, row) in rows.iter().enumerate() {
            let asks = row.lead.as_ref().map_or("", |lead| lead.text.as_str());
            for (place, shown) in row.others.iter().enumerate() {
                let counts = [k, place].map(|n| (n + 1).to_string());
                let [row_number, place] = counts;
                let texts = [*title, row.heading.as_str(), asks, shown.text.as_str(), shown.note.as_str()];
                let [title, heading, asks, text, note] = texts.map(str::to_owned);
                table.push([
                    title,
                    row_number,
                    heading,
                    asks,
                    place,
                    text,
                    note,
                    shown.tone.name().to_owned(),
                ]);
            }
        }
    }
    table
}

/// The words below a picture, in lines; a mark goes before the first.
fn words(shown: &Shown<'_>, room: f64) -> Vec<String> {
    let mark = match shown.tone {
        Tone::Plain => "",
        Tone::Right => "✓ ",
        Tone::Wrong => "✗ ",
    };
    if shown.text.is_empty() {
        return Vec::new();
    }
    wrapped(&format!("{mark}{}", shown.text), SMALL, false, room, LINES)
}

/// What a row of pictures needs below them: the line at which notes stand, below the words of all that have one, and the height of all.
fn below<'s, 'a: 's>(shown: impl Iterator<Item = &'s Shown<'a>> + Clone, room: f64) -> (usize, f64) {
    let longest = |noted: bool| {
        shown.clone().filter(|s| !noted || !s.note.is_empty()).map(|s| words(s, room).len()).max()
    };
    let (words, notes) = (longest(false).unwrap_or(0), longest(true));
    let lines = notes.map_or(words, |line| words.max(line + 1));
    (notes.unwrap_or(0), if lines > 0 { lines as f64 * LINE + SPACE } else { SPACE })
}

pub(super) fn panel(title: &str, rows: &[PictureRow<'_>]) -> Result<Panel, FileError> {
    let mut y = 0.0;
    let mut body = html! {};
    for row in rows {
        if !row.heading.is_empty() {
            body.0.push_str(&written("s b f-ink", (0.0, y + 12.0), Anchor::Start, &row.heading, WIDTH).0);
            y += HEADING;
        }
        let (left, across) = if row.lead.is_some() { (SIDE + 14.0, ACROSS[0]) } else { (0.0, ACROSS[1]) };
        let step = (WIDTH - left) / across as f64;
        let room = step - 4.0;
        let (lines, text) = below(row.others.iter().chain(&row.lead), room);
        let height = SIDE + 4.0 + text + 4.0;
        let centre = |line: usize| y + line as f64 * height + SIDE / 2.0 + 2.0;
        if let Some(lead) = &row.lead {
            body.0.push_str(&one(lead, SIDE / 2.0 + 4.0, centre(0), SIDE + 7.0, lines)?.0);
        }
        for (k, shown) in row.others.iter().enumerate() {
            let x = left + ((k % across) as f64 + 0.5) * step;
            body.0.push_str(&one(shown, x, centre(k / across), room, lines)?.0);
        }
        y += height * row.others.len().div_ceil(across).max(1) as f64;
    }
    Ok(Panel { title: title.to_owned(), says: said(rows), height: y, body })
}

/// What rows of pictures show, in a sentence.
fn said(rows: &[PictureRow<'_>]) -> String {
    let shown: usize = rows.iter().map(|r| r.others.len()).sum();
    let of = |tone: Tone| rows.iter().flat_map(|r| &r.others).filter(|s| s.tone == tone).count();
    let (right, wrong) = (of(Tone::Right), of(Tone::Wrong));
    let leads = rows.iter().filter(|r| r.lead.is_some()).count();
    let what = match leads {
        0 => format!("{shown} pictures"),
        n => format!("{n} pictures, and {shown} that are beside them"),
    };
    match (right, wrong) {
        (0, 0) => format!("{what}."),
        _ => format!("{what}, {right} of them marked right and {wrong} marked wrong."),
    }
}

/// Two pictures that are one answer.
pub(in crate::report) struct PairShown<'a> {
    pub(in crate::report) pair: [Shown<'a>; 2],
    /// What stands below both.
    pub(in crate::report) note: String,
}

/// Pairs under their headings: the two of a pair touch, and pairs stand apart.
pub(in crate::report) fn pairs(
    title: &str,
    groups: &[(&str, Vec<PairShown<'_>>)],
) -> Result<Panel, FileError> {
    let step = WIDTH / PAIRS_ACROSS as f64;
    let height = SIDE + LINE + 14.0;
    let mut y = 0.0;
    let mut body = html! {};
    let mut says = Vec::new();
    for (heading, pairs) in groups {
        body.0.push_str(&written("s b f-ink", (0.0, y + 12.0), Anchor::Start, heading, WIDTH).0);
        y += HEADING;
        for (k, pair) in pairs.iter().enumerate() {
            let (x, top) =
                (((k % PAIRS_ACROSS) as f64 + 0.5) * step, y + (k / PAIRS_ACROSS) as f64 * height + 3.0);
            let [a, b] = &pair.pair;
            let drawn = html! {
                rect class="f-card" x=(N(x - SIDE - 4.0)) y=(N(top - 3.0)) width=(N(2.0 * SIDE + 8.0)) height=(N(height - 4.0)) rx="5" {}
                (framed(a, x - SIDE / 2.0 - 0.5, top + SIDE / 2.0)?)
                (framed(b, x + SIDE / 2.0 + 0.5, top + SIDE / 2.0)?)
                (written("s f-ink", (x, top + SIDE + LINE), Anchor::Middle, &pair.note, 2.0 * SIDE))
            };
            body.0.push_str(&drawn.0);
        }
        y += height * pairs.len().div_ceil(PAIRS_ACROSS).max(1) as f64 + 4.0;
        says.push(format!("{heading}: {} pairs.", pairs.len()));
    }
    Ok(Panel { title: title.to_owned(), says: says.join(" "), height: y, body })
}

/// A picture in its frame.
fn framed(shown: &Shown<'_>, x: f64, y: f64) -> Result<Markup, FileError> {
    let colour = match shown.tone {
        Tone::Plain => "ink",
        Tone::Right => "right",
        Tone::Wrong => "wrong",
    };
    Ok(html! {
        (picture(shown.images, shown.i, x, y, SIDE)?)
        rect class=(format!("s-{colour}")) stroke-width="2" stroke-dasharray=(if shown.tone == Tone::Wrong { "4 3" } else { "none" })
            x=(N(x - SIDE / 2.0)) y=(N(y - SIDE / 2.0)) width=(N(SIDE)) height=(N(SIDE)) {}
    })
}

/// A picture with its words, in so many lines that notes of a row stand level.
fn one(shown: &Shown<'_>, x: f64, y: f64, room: f64, lines: usize) -> Result<Markup, FileError> {
    let colour = match shown.tone {
        Tone::Plain => "ink",
        Tone::Right => "right",
        Tone::Wrong => "wrong",
    };
    let first = y + SIDE / 2.0 + LINE;
    let words = words(shown, room);
    let cut = words.iter().any(|w| w.contains('…')) || width(&shown.text, SMALL, false) > room;
    Ok(html! {
        (framed(shown, x, y)?)
        @if !words.is_empty() {
            g {
                @if cut { title { (shown.text) } }
                @for (k, word) in words.iter().enumerate() {
                    text class=(format!("s f-{colour}")) text-anchor="middle" x=(N(x)) y=(N(first + k as f64 * LINE)) { (word) }
                }
            }
        }
        @if !shown.note.is_empty() {
            (written("s f-faint", (x, first + lines as f64 * LINE), Anchor::Middle, &shown.note, room))
        }
    })
}
