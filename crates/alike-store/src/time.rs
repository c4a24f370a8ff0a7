//! Times as people write them: `2024-05-01T12:30:00`, in UTC.

/// Seconds since 1970 of the beginning of a day, by Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

/// Seconds since 1970, as text.
pub(crate) fn shown(seconds: i64) -> String {
    let (year, month, day) = civil(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", of_day / 3600, of_day / 60 % 60, of_day % 60)
}

/// The first second that a text means and the first after it: a day, or a second.
pub(crate) fn span(text: &str) -> Option<(i64, i64)> {
    let number = |text: &str, len: usize| -> Option<i64> {
        (text.len() == len && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok()).flatten()
    };
    let (date, clock) = match text.split_once(['T', ' ']) {
        None => (text, None),
        Some((date, clock)) => (date, Some(clock)),
    };
    let mut parts = date.split('-');
    let mut part = |len| parts.next().and_then(|p| number(p, len));
    let (year, month, day) = (part(4)?, part(2)?, part(2)?);
    let start = days(year, month, day);
    // A day that there is comes back.
    if parts.next().is_some() || civil(start) != (year, month, day) || !(1..=12).contains(&month) {
        return None;
    }
    let start = start * 86_400;
    let Some(clock) = clock else { return Some((start, start + 86_400)) };
    let mut parts = clock.trim_end_matches('Z').split(':');
    let mut part = || parts.next().and_then(|p| number(p, 2));
    let (hour, minute) = (part()?, part()?);
    let rest = parts.next();
    let second = rest.map_or(Some(0), |p| number(p, 2))?;
    if parts.next().is_some() || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let start = start + hour * 3600 + minute * 60 + second;
    Some((start, start + if rest.is_some() { 1 } else { 60 }))
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |d| i64::try_from(d.as_secs()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_sqlite() {
        let db = rusqlite::Connection::open_in_memory().unwrap();
        for seconds in [0i64, 951_782_400, 1_709_210_096, -1, 4_102_444_799, 1_735_689_599, -62_135_596_800] {
            let text: String = db
                .query_row("SELECT strftime('%Y-%m-%dT%H:%M:%S', ?1, 'unixepoch')", [seconds], |r| r.get(0))
                .unwrap();
            assert_eq!(shown(seconds), text);
            assert_eq!(span(&text), Some((seconds, seconds + 1)), "{text}");
        }
        assert_eq!(span("1970-01-02"), Some((86_400, 2 * 86_400)));
        assert_eq!(span("1970-01-02 01:00"), Some((90_000, 90_060)));
        for bad in ["2023-02-29", "2024-13-01", "24-1-1", "2024-01-01T24:00", "x", "2024-01-01T1:00"] {
            assert_eq!(span(bad), None, "{bad}");
        }
    }
}
