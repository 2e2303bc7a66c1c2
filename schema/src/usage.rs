//! What plays spend, and how much they may.

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::{Json, tag};

/// What a part of a play has spent, as its spans were annotated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct Usage {
    /// Money, in US dollars.
    #[serde(default)]
    pub cost_usd: f64,
    /// How many tokens models read.
    #[serde(default)]
    pub input_tokens: u64,
    /// How many tokens models wrote.
    #[serde(default)]
    pub output_tokens: u64,
}

impl Usage {
    /// What these tags of a span say. What is no amount of money and no number of tokens is a tag like
    /// any other.
    pub fn of_tags(tags: &BTreeMap<String, Json>) -> Self {
        let tokens = |name| tags.get(name).and_then(|tag| tag.read::<u64>().ok()).unwrap_or(0);
        let usd = tags.get(tag::COST_USD).and_then(|tag| tag.read::<f64>().ok());
        Self {
            cost_usd: usd.filter(|usd| usd.is_finite() && *usd >= 0.0).unwrap_or(0.0),
            input_tokens: tokens(tag::INPUT_TOKENS),
            output_tokens: tokens(tag::OUTPUT_TOKENS),
        }
    }

    /// Whether nothing was spent.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// How many tokens were read and written.
    pub fn tokens(&self) -> u64 {
        self.input_tokens.saturating_add(self.output_tokens)
    }

    /// The larger of both, part by part.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            cost_usd: self.cost_usd.max(other.cost_usd),
            input_tokens: self.input_tokens.max(other.input_tokens),
            output_tokens: self.output_tokens.max(other.output_tokens),
        }
    }
}

impl Add for Usage {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            // A sum that no number holds would not read back.
            cost_usd: (self.cost_usd + other.cost_usd).min(f64::MAX),
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
        }
    }
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// How much a play may spend. What it spends beyond that stops it at its next step.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// Money, in US dollars; None sets no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens, read and written together; None sets no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
}

/// How much less than nothing a difference of sums of money may be.
const ROUNDING_USD: f64 = 1e-9;

impl Budget {
    /// Whether this is a budget: it bounds something, by an amount that there is.
    pub fn is_sound(&self) -> bool {
        let bounds = self.cost_usd.is_some() || self.tokens.is_some();
        bounds && self.cost_usd.is_none_or(|usd| usd.is_finite() && usd >= 0.0)
    }

    /// Whether so much is more than the budget.
    pub fn is_exceeded_by(&self, spent: &Usage) -> bool {
        self.cost_usd.is_some_and(|usd| spent.cost_usd > usd + ROUNDING_USD)
            || self.tokens.is_some_and(|tokens| spent.tokens() > tokens)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_amount_is_a_tag_like_any_other() {
        let usage = |text: &str| Usage::of_tags(&serde_json::from_str(text).expect("tags"));
        let spent = usage(r#"{"cost_usd": 0.5, "input_tokens": 7, "output_tokens": 3, "x": 1}"#);
        assert_eq!((spent.cost_usd, spent.tokens()), (0.5, 10));
        for odd in ["-1", "\"1\"", "null", "1e999", "[1]"] {
            let odd = format!(r#"{{"cost_usd": {odd}, "input_tokens": {odd}}}"#);
            assert!(usage(&odd).is_nothing(), "{odd}");
        }
        assert_eq!(usage(r#"{"input_tokens": 1.5}"#).input_tokens, 0);
    }

    #[test]
    fn a_budget_may_be_spent_to_the_last_cent() {
        let budget = Budget { cost_usd: Some(0.3), tokens: Some(10) };
        let spent = |cost_usd, output_tokens| Usage { cost_usd, input_tokens: 4, output_tokens };
        assert!(!budget.is_exceeded_by(&spent(0.1 + 0.2, 6)));
        assert!(budget.is_exceeded_by(&spent(0.31, 6)));
        assert!(budget.is_exceeded_by(&spent(0.0, 7)));
        assert!(Budget { tokens: None, ..budget }.is_sound());
        assert!(!Budget::default().is_sound());
        assert!(!Budget { cost_usd: Some(-1.0), tokens: Some(1) }.is_sound());
    }

    #[test]
    fn sums_stay_numbers() {
        let most = Usage { cost_usd: f64::MAX, input_tokens: u64::MAX, output_tokens: 1 };
        let sum = most + most;
        assert!(sum.cost_usd.is_finite());
        assert_eq!(sum.tokens(), u64::MAX);
    }
}
