//! The clock that stored times are taken from.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use hero_schema::Timestamp;

/// The system's time. Within a process it never goes back and never gives the same moment twice, so
/// that what happened later also sorts later.
pub(crate) fn now() -> Timestamp {
    static LATEST: AtomicI64 = AtomicI64::new(0);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let system = i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX);
    let mut latest = LATEST.load(Ordering::Relaxed);
    loop {
        let moment = system.max(latest.saturating_add(1));
        match LATEST.compare_exchange_weak(latest, moment, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => return Timestamp(moment),
            Err(newer) => latest = newer,
        }
    }
}

/// A moment for people, to the second: `2026-11-20T21:00:00Z`.
pub(crate) fn text(moment: Timestamp) -> String {
    let seconds = moment.0.div_euclid(1_000_000);
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

/// The Gregorian date of a day counted from the epoch (Howard Hinnant, "chrono-Compatible Low-Level
/// Date Algorithms", `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_moment_is_later_than_the_one_before() {
        let moments: Vec<_> = (0..1000).map(|_| now()).collect();
        assert!(moments.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn moments_read_as_dates() {
        for (seconds, date) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_208_400, "2026-11-20T21:00:00Z"),
        ] {
            assert_eq!(text(Timestamp(seconds * 1_000_000)), date);
        }
    }
}
