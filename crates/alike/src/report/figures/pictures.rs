//! Rows of pictures: one that leads, and others that follow, each with a word below.

use crate::files::FileError;
use crate::images::Images;
use crate::report::figure::{Figure, N, Panel, WIDTH, picture};
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

/// Letters of a word below a picture.
const WORD: usize = 7;

/// A text of at most so many letters.
fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most - 1).chain(['…']).collect()
}

/// A picture with its word.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    /// The picture is image `i` of these.
    pub images: &'a Images,
    /// Its number.
    pub i: usize,
    /// What stands below it; cut off where it is long.
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
    /// At the left, alone; none in a sheet.
    pub lead: Option<Shown<'a>>,
    /// What stands above the row, if anything.
    pub heading: String,
    /// In as many lines as they take.
    pub others: Vec<Shown<'a>>,
}

const SIDE: f64 = 34.0;
const LINE: f64 = 58.0;
const BARE: f64 = 42.0;
/// What a note below the words takes.
const NOTE: f64 = 11.0;
const HEADING: f64 = 16.0;
/// Pictures of a line, beside one that leads and without.
const ACROSS: [usize; 2] = [7, 8];

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
    let panels = panels.iter().map(|(title, rows)| panel(title, rows)).collect::<Result<_, _>>()?;
    Ok(Figure { name, title: title.into(), caption: caption.into(), panels, columns: 2 })
}

pub(super) fn panel(title: &str, rows: &[PictureRow<'_>]) -> Result<Panel, FileError> {
    let mut y = 0.0;
    let mut body = html! {};
    for row in rows {
        if !row.heading.is_empty() {
            let heading = html! { text class="s b f-ink" x="4" y=(N(y + 11.0)) { (row.heading) } };
            body.0.push_str(&heading.0);
            y += HEADING;
        }
        let (left, across) = if row.lead.is_some() { (SIDE + 22.0, ACROSS[0]) } else { (4.0, ACROSS[1]) };
        let step = (WIDTH - left) / across as f64;
        // Pictures without words need no room for them.
        let any = |has: fn(&Shown<'_>) -> bool| row.others.iter().chain(&row.lead).any(has);
        let height = match (any(|s| !s.text.is_empty()), any(|s| !s.note.is_empty())) {
            (true, true) => LINE + NOTE,
            (false, false) => BARE,
            _ => LINE,
        };
        let centre = |line: usize| y + line as f64 * height + SIDE / 2.0 + 4.0;
        if let Some(lead) = &row.lead {
            body.0.push_str(&one(lead, 4.0 + SIDE / 2.0, centre(0))?.0);
        }
        for (k, shown) in row.others.iter().enumerate() {
            let x = left + ((k % across) as f64 + 0.5) * step;
            body.0.push_str(&one(shown, x, centre(k / across))?.0);
        }
        y += height * row.others.len().div_ceil(across).max(1) as f64;
    }
    Ok(Panel { title: title.to_owned(), height: y, body })
}

fn one(shown: &Shown<'_>, x: f64, y: f64) -> Result<Markup, FileError> {
    let (colour, mark) = match shown.tone {
        Tone::Plain => ("ink", ""),
        Tone::Right => ("right", "✓ "),
        Tone::Wrong => ("wrong", "✗ "),
    };
    // A mark stands where there is room for it.
    let short = shown.text.chars().count() <= WORD - 2;
    let (before, below) = if short || shown.note.is_empty() { (mark, "") } else { ("", mark) };
    let text = shortened(&shown.text, if before.is_empty() { WORD } else { WORD - 2 });
    let noted = shortened(&shown.note, if below.is_empty() { WORD } else { WORD - 1 });
    let word = y + SIDE / 2.0 + 13.0;
    let note = if shown.text.is_empty() { word } else { word + NOTE };
    Ok(html! {
        (picture(shown.images, shown.i, x, y, SIDE)?)
        rect class=(format!("s-{colour}")) stroke-width="2" stroke-dasharray=(if shown.tone == Tone::Wrong { "4 3" } else { "none" })
            x=(N(x - SIDE / 2.0)) y=(N(y - SIDE / 2.0)) width=(N(SIDE)) height=(N(SIDE)) {}
        text class=(format!("s f-{colour}")) text-anchor="middle" x=(N(x)) y=(N(word)) { (before) (text) }
        @if !shown.note.is_empty() {
            text class="s f-faint" text-anchor="middle" x=(N(x)) y=(N(note)) { (below) (noted) }
        }
    })
}
