//! Plain text for people: times, durations, and words of others made safe to print.

use hero_schema::Timestamp;
use serde_json::Value;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// Text of others with its control characters spelled out, so that it can neither move the cursor
/// nor look like something else. Bidirectional overrides count as control characters.
pub(crate) fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push_str("    "),
            c if c.is_control() || is_bidirectional(c) => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// The same, where line ends are wanted.
pub(crate) fn visible_lines(text: &str) -> String {
    text.lines().map(visible).collect::<Vec<_>>().join("\n")
}

fn is_bidirectional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// At most so many characters, the last one `…` where something is missing.
pub(crate) fn short(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// The text as one word of a shell.
pub(crate) fn shell_word(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_-./:=@%+,".contains(&b);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// How a value is shown to people: text as it is, all else as JSON.
pub(crate) fn plain(json: &hero_schema::Json) -> String {
    match json.read::<Value>() {
        Ok(Value::String(text)) => text,
        _ => json.text().to_owned(),
    }
}

/// `850 ms`, `3.2 s`, `4 min 5 s`, `2 h 3 min`, `5 d 6 h`.
pub(crate) fn duration(micros: u64) -> String {
    let seconds = micros / 1_000_000;
    match seconds {
        0 if micros < 1000 => "<1 ms".into(),
        0 => format!("{} ms", micros / 1000),
        1..60 => format!("{seconds}.{} s", micros / 100_000 % 10),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3600..86_400 => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3600 % 24),
    }
}

/// How long ago, in one unit: `12 s ago`.
pub(crate) fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.micros_since(then) / 1_000_000;
    match seconds {
        0..60 => format!("{seconds} s ago"),
        60..3600 => format!("{} min ago", seconds / 60),
        3600..86_400 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// `2026-11-20 21:34:33 UTC`.
pub(crate) fn moment(at: Timestamp) -> String {
    let (date, seconds) = split(at);
    format!("{date} {} UTC", clock(seconds))
}

/// `21:34:33.123`, UTC, for lines that stand close together.
pub(crate) fn time_of_day(at: Timestamp) -> String {
    let (_, seconds) = split(at);
    format!("{}.{:03}", clock(seconds), at.0.rem_euclid(MICROS_PER_SECOND) / 1000)
}

/// The time now, for showing how long something takes.
pub(crate) fn now() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since_epoch.map_or(0, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
}

fn split(at: Timestamp) -> (String, i64) {
    let seconds = at.0.div_euclid(MICROS_PER_SECOND);
    (date(seconds.div_euclid(SECONDS_PER_DAY)), seconds.rem_euclid(SECONDS_PER_DAY))
}

fn clock(seconds: i64) -> String {
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// The civil date of a day since the epoch: Howard Hinnant, "chrono-Compatible Low-Level Date
/// Algorithms", `civil_from_days`.
fn date(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// Reads a moment: how long ago, as `90s`, `2h` or `1d12h`, or a day or moment in UTC, as `2026-01-31`
/// or `2026-01-31T18:30:05`.
pub(crate) fn when(text: &str) -> Result<Timestamp, String> {
    if let Some(at) = civil(text) {
        return Ok(at);
    }
    let ago = crate::args::duration(text).map_err(|_| {
        "expected how long ago, such as 2h or 7d, or a moment in UTC such as 2026-01-31T18:30"
            .to_owned()
    })?;
    let micros = i64::try_from(ago.as_micros()).unwrap_or(i64::MAX);
    Ok(Timestamp(now().0.saturating_sub(micros)))
}

/// Reads a moment in UTC, as `2026-01-31T18:30:05`.
pub(crate) fn moment_to_come(text: &str) -> Result<Timestamp, String> {
    civil(text).ok_or_else(|| "expected a moment in UTC such as 2026-01-31T18:30".into())
}

/// A day or moment, as [`moment`] prints it, with what is to its right left out.
fn civil(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix("UTC").or(text.strip_suffix('Z')).unwrap_or(text).trim_end();
    let (day, time) = text.split_once(['T', ' ']).unwrap_or((text, "00:00"));
    let [year, month, day] = numbers(day, '-')?[..] else { return None };
    let (hour, minute, second) = match numbers(time, ':')?[..] {
        [hour, minute] => (hour, minute, 0),
        [hour, minute, second] => (hour, minute, second),
        _ => return None,
    };
    let is_time = hour < 24 && minute < 60 && second < 60;
    let days = days(year, month, day).filter(|_| is_time)?;
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    Some(Timestamp(seconds * MICROS_PER_SECOND))
}

fn numbers(text: &str, separator: char) -> Option<Vec<i64>> {
    let is_number =
        |part: &&str| (1..=4).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    text.split(separator).map(|part| Some(part).filter(is_number)?.parse().ok()).collect()
}

/// The day since the epoch of a civil date, the reverse of [`date`]; None where there is no such day.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year_from_march = year - i64::from(month <= 2);
    let era = year_from_march.div_euclid(400);
    let year_of_era = year_from_march.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    // The 30th of February would come back as another day.
    (date(days) == format!("{year:04}-{month:02}-{day:02}")).then_some(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_others_reaches_the_terminal_as_a_command() {
        let cases = [
            ("plain ünï 😀", "plain ünï 😀"),
            ("a\x1b[2Jb", "a\\u{1b}[2Jb"),
            ("a\u{9b}b\x07", "a\\u{9b}b\\u{7}"),
            ("a\u{202e}b\n", "a\\u{202e}b\\u{a}"),
            ("a\tb", "a    b"),
        ];
        for (given, expected) in cases {
            assert_eq!(visible(given), expected);
        }
    }

    #[test]
    fn durations_have_the_two_units_that_matter() {
        let cases = [
            (0, "<1 ms"),
            (12_345, "12 ms"),
            (3_280_000, "3.2 s"),
            (245_000_000, "4 min 5 s"),
            (7_380_000_000, "2 h 3 min"),
            (453_600_000_000, "5 d 6 h"),
        ];
        for (micros, expected) in cases {
            assert_eq!(duration(micros), expected);
        }
    }

    #[test]
    fn moments_are_civil_and_utc() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_827_696_000_000, "2000-02-29 12:34:56 UTC"),
            (1_795_210_473_000_000, "2026-11-20 21:34:33 UTC"),
            (-1, "1969-12-31 23:59:59 UTC"),
        ];
        for (micros, expected) in cases {
            assert_eq!(moment(Timestamp(micros)), expected);
        }
        assert_eq!(time_of_day(Timestamp(1_795_210_473_123_456)), "21:34:33.123");
    }

    #[test]
    fn a_moment_is_read_as_it_is_printed_or_as_how_long_ago() {
        for (text, expected) in [
            ("1970-01-01", Some(0)),
            ("2000-02-29 12:34:56 UTC", Some(951_827_696_000_000)),
            ("2026-11-20T21:34:33Z", Some(1_795_210_473_000_000)),
            ("2026-11-20T21:34", Some(1_795_210_440_000_000)),
            ("1969-12-31 23:59:59", Some(-1_000_000)),
            ("2026-02-30", None),
            ("2026-13-01", None),
            ("2026-01-01T24:00", None),
            ("2026-01", None),
            ("2026-01-+1", None),
            ("yesterday", None),
        ] {
            assert_eq!(when(text).ok(), expected.map(Timestamp), "{text}");
        }
        let two_hours_ago = when("2h").expect("a time");
        let off = now().micros_since(two_hours_ago).abs_diff(7_200_000_000);
        assert!(off < 60_000_000, "{off}");
    }

    #[test]
    fn a_shell_reads_a_word_back_as_it_was() {
        let cases =
            [("true", "true"), ("\"it's\"", r#"'"it'\''s"'"#), ("", "''"), ("a b", "'a b'")];
        for (given, expected) in cases {
            assert_eq!(shell_word(given), expected);
        }
    }

    #[test]
    fn what_is_cut_says_so() {
        assert_eq!(short("añb", 3), "añb");
        assert_eq!(short("añbc", 3), "añ…");
    }
}
