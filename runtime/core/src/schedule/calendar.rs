//! The due times of a schedule, one after the other.

use std::ops::RangeInclusive;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use hero_schema::{Timestamp, When};
use jiff::tz::TimeZone;

/// The longest cron expression, in characters.
const EXPRESSION_CHARS_MAX: usize = 256;

/// The shortest and the longest distance of due times, in microseconds: a second and a thousand years.
const EVERY_MICROS: RangeInclusive<u64> = 1_000_000..=31_556_952_000_000_000;

/// All times at which something is due.
#[derive(Clone, Debug)]
pub struct Calendar(Rule);

#[derive(Clone, Debug)]
enum Rule {
    Cron(Box<Cron>, TimeZone),
    Every { micros: u64, from: Timestamp },
    At(Timestamp),
}

/// Why something can never be due.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It does not read.
    #[error("{expression:?} is no cron expression: {reason}")]
    Expression {
        /// As it was given.
        expression: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It is due too often, or too rarely.
    #[error("{micros} µs are no time for `every`")]
    Distance {
        /// As it was given.
        micros: u64,
    },
}

impl Calendar {
    /// Reads a rule. A cron expression has five fields and is about the clock of the zone; `every` counts
    /// from `from` on.
    ///
    /// # Errors
    /// There is no such rule.
    pub fn new(when: &When, zone: TimeZone, from: Timestamp) -> Result<Self, Unfit> {
        Ok(Self(match when {
            When::Cron { expression, .. } => Rule::Cron(Box::new(read(expression)?), zone),
            When::Every { micros } if !EVERY_MICROS.contains(micros) => {
                return Err(Unfit::Distance { micros: *micros });
            }
            When::Every { micros } => Rule::Every { micros: *micros, from },
            When::At(at) => Rule::At(*at),
        }))
    }

    /// The first due time after a moment; None where there is none any more.
    ///
    /// A cron expression with fixed hours and minutes is due once each day that it names: where the clock
    /// leaves its time out, as soon as the clock goes on; where the clock shows it twice, the first time.
    pub fn next_after(&self, moment: Timestamp) -> Option<Timestamp> {
        match &self.0 {
            Rule::At(at) => Some(*at).filter(|at| *at > moment),
            Rule::Every { micros, from } => {
                let n = moment.micros_since(*from) / micros + u64::from(moment >= *from);
                let next = from.after_micros(n.max(1).checked_mul(*micros)?);
                Some(next).filter(|next| *next > moment)
            }
            Rule::Cron(cron, zone) => {
                let moment = jiff::Timestamp::from_microsecond(moment.0).ok()?;
                let start = moment.to_zoned(zone.clone());
                let next = cron.find_next_occurrence(&start, false).ok()?;
                Some(Timestamp(next.timestamp().as_microsecond()))
                    .filter(|next| next.0 > moment.as_microsecond())
            }
        }
    }

    /// The next due times after a moment, at most so many.
    pub fn upcoming(&self, moment: Timestamp, n_max: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next_after(moment), |due| self.next_after(*due))
            .take(n_max)
            .collect()
    }

    /// How many times are due from `first`, which is one of them, until before a moment; and the last of
    /// them.
    pub(super) fn count(&self, first: Timestamp, before: Timestamp) -> (u64, Timestamp) {
        if let Rule::Every { micros, .. } = &self.0 {
            let n_more = before.micros_since(first).saturating_sub(1) / micros;
            return (n_more + 1, first.after_micros(n_more * micros));
        }
        let due = std::iter::successors(Some(first), |due| self.next_after(*due));
        let due = due.take_while(|due| *due < before || *due == first);
        due.fold((0, first), |(n, _), due| (n + 1, due))
    }
}

fn read(expression: &str) -> Result<Cron, Unfit> {
    let unfit = |reason: String| Unfit::Expression { expression: expression.into(), reason };
    if expression.chars().count() > EXPRESSION_CHARS_MAX {
        let reason = format!("it is longer than {EXPRESSION_CHARS_MAX} characters");
        return Err(Unfit::Expression {
            expression: expression.chars().take(40).collect(),
            reason,
        });
    }
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(expression).map_err(|error| unfit(error.to_string()))
}
