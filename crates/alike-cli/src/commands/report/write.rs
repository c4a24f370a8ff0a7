//! What a report writes: the page, its figures as SVG and PNG, and each figure's numbers as CSV.

use crate::args::Global;
use crate::bars::Bars;
use crate::commands::as_wanted;
use crate::printer::note;
use alike::data::{Progress, Unit};
use alike::files::{self, StagedFiles};
use alike::names::shell_path;
use alike::report::{Figure, PageFacts, Report};
use anyhow::{Context, ensure};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

/// Pixels a unit of a drawing, so that text is sharp on fine screens and on paper.
const SCALE: f32 = 2.0;
/// The files that a figure becomes.
const ENDINGS: [&str; 3] = ["svg", "png", "csv"];

/// The folder of a page's figures.
pub(crate) fn figures_beside(page: &Path) -> anyhow::Result<PathBuf> {
    let stem = page.file_stem().with_context(|| format!("{} names no file", page.display()))?;
    ensure!(!page.is_dir(), "{} is a folder; name a file, such as page.html", page.display());
    Ok(page.with_file_name(format!("{}-figures", stem.to_string_lossy())))
}

/// Draws figures into a folder: the files, which are not yet written.
fn drawn(figures: &[Figure], folder: &Path, global: &Global) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let files: Vec<(&Figure, &str)> = figures
        .iter()
        .flat_map(|figure| ENDINGS.map(|ending| (figure, ending)))
        .filter(|(figure, ending)| *ending != "csv" || !figure.numbers.is_empty())
        .collect();
    let mut bars = Bars::new(global);
    bars.begin("writing figures as SVG and PNG", Some(files.len() as u64), Unit::Figures);
    let told = Mutex::new(&mut bars);
    let drawn = files
        .par_iter()
        .map(|(figure, ending)| {
            let path = folder.join(format!("{}.{ending}", figure.name));
            let bytes = match *ending {
                "csv" => as_wanted(figure.numbers.csv().into_bytes(), global)?,
                _ => draw(figure, &path)?,
            };
            if let Ok(mut told) = told.lock() {
                told.advance(1);
            }
            Ok((path, bytes))
        })
        .collect();
    bars.end();
    drawn
}

/// Writes page and figures together.
pub(crate) fn write_report(page: &Path, report: &Report, global: &Global) -> anyhow::Result<Vec<PathBuf>> {
    let folder = figures_beside(page)?;
    let drawn = drawn(report.figures(), &folder, global)?;
    let mut batch = StagedFiles::default();
    for (path, bytes) in &drawn {
        batch.stage(path, |w| w.write_all(bytes))?;
    }
    batch.stage(page, |w| w.write_all(report.html().as_bytes()))?;
    batch.commit()?;
    note(global, format!("{} figures as SVG, PNG and CSV in {}", report.figures().len(), folder.display()));
    Ok(drawn.into_iter().map(|(path, _)| path).collect())
}

/// Writes figures alone into a folder.
pub(crate) fn write_figures(
    folder: &Path,
    figures: &[Figure],
    force: bool,
    global: &Global,
) -> anyhow::Result<Vec<PathBuf>> {
    let drawn = drawn(figures, folder, global)?;
    let paths: Vec<&Path> = drawn.iter().map(|(path, _)| path.as_path()).collect();
    crate::commands::refuse_existing(&paths, force)?;
    let mut batch = StagedFiles::default();
    for (path, bytes) in &drawn {
        batch.stage(path, |w| w.write_all(bytes))?;
    }
    batch.commit()?;
    Ok(drawn.into_iter().map(|(path, _)| path).collect())
}

/// A figure in the format that the path's ending asks for.
pub(crate) fn draw(figure: &Figure, path: &Path) -> anyhow::Result<Vec<u8>> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("png") => Ok(figure.png(SCALE)?),
        Some("svg") => Ok(figure.svg().into_bytes()),
        _ => anyhow::bail!("{} ends in neither .png nor .svg", path.display()),
    }
}

/// What a page says of itself.
pub(crate) fn facts(page: &Path, model: &Path, unseen: Option<&Path>, data: Option<&str>) -> PageFacts {
    // Without a slash at its end: names are made from it.
    let model = &model.components().collect::<PathBuf>();
    let mut command = format!("alike report {}", shell_path(model));
    if let Some(data) = data {
        command.push_str(&format!(" --data {}", shell_path(data)));
    }
    if let Some(other) = unseen {
        command.push_str(&format!(" --unseen {}", shell_path(other)));
    }
    command.push_str(&format!(" -o {} --force", shell_path(page)));
    PageFacts {
        date: day(model),
        run: Some(shell_path(model)),
        unseen: unseen.map(shell_path),
        page: Some(shell_path(page)),
        command: Some(command),
        siblings: siblings(page),
        refresh: None,
    }
}

/// The day on which a run's checkpoint, or an encoder's file, was last written.
fn day(model: &Path) -> Option<String> {
    let newest = ["last.safetensors", "best.safetensors"].map(|file| model.join(file));
    let times = newest.iter().map(PathBuf::as_path).chain([model]);
    let at = times.filter_map(|path| path.metadata().ok()?.modified().ok()).next()?;
    Some(written_day(at))
}

/// A moment's day in UTC, as `2026-01-31`.
fn written_day(at: SystemTime) -> String {
    let days = at.duration_since(UNIX_EPOCH).map_or(0, |t| t.as_secs() / 86_400) as i64;
    // Days to a date of the Gregorian calendar, by eras of 400 years that begin on the first of March.
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// How much of a file is looked at, to see whether Alike wrote it and how it is titled.
const HEAD: u64 = 100_000;
/// Pages that are linked, at most.
const MOST: usize = 20;

/// Pages of Alike that lie beside a page: their titles and addresses.
fn siblings(page: &Path) -> Vec<(String, String)> {
    let folder = page.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|p| p.extension().is_some_and(|e| e == "html") && p.file_name() != page.file_name())
        .collect();
    paths.sort();
    paths.truncate(10 * MOST);
    let linked = paths.iter().filter_map(|path| Some((title(path)?, address(path)?)));
    linked.take(MOST).collect()
}

/// The title of a page that Alike wrote.
fn title(path: &Path) -> Option<String> {
    use std::io::Read;
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut head = Vec::new();
    files::open(path).ok()?.take(HEAD).read_to_end(&mut head).ok()?;
    let head = String::from_utf8_lossy(&head);
    if !head.contains("<meta name=\"generator\" content=\"alike ") {
        return None;
    }
    let title = head.split("<title>").nth(1)?.split("</title>").next()?.strip_suffix(" · Alike")?;
    let plain = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    Some(plain.iter().fold(title.to_owned(), |t, (from, to)| t.replace(from, to)))
}

/// A file's address from a page beside it.
fn address(path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let written = |b: u8| {
        if b.is_ascii_alphanumeric() || b"-._~".contains(&b) {
            char::from(b).to_string()
        } else {
            format!("%{b:02X}")
        }
    };
    // A name with a colon would be taken for a scheme.
    Some(format!("./{}", name.bytes().map(written).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn days_are_those_of_the_calendar() {
        // From `date -u -d @SECONDS +%F`.
        for (seconds, day) in [
            (0, "1970-01-01"),
            (951_782_399, "2000-02-28"),
            (951_782_400, "2000-02-29"),
            (1_709_251_200, "2024-03-01"),
            (4_102_444_799, "2099-12-31"),
        ] {
            assert_eq!(written_day(UNIX_EPOCH + Duration::from_secs(seconds)), day);
        }
    }

    #[test]
    fn pages_beside_a_page_are_found_by_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let own = "<head><meta name=\"generator\" content=\"alike 9\"><title>a &amp; b · Alike</title>";
        std::fs::write(folder.path().join("x y:z.html"), own).unwrap();
        std::fs::write(folder.path().join("other.html"), "<title>no</title>").unwrap();
        let page = folder.path().join("page.html");
        std::fs::write(&page, own).unwrap();
        assert_eq!(siblings(&page), [("a & b".to_owned(), "./x%20y%3Az.html".to_owned())]);
    }
}
