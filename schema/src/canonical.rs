//! Canonical JSON: one spelling for each value, so that equal arguments give equal step keys.
//!
//! Keys sorted by code point, no spaces, text as unescaped UTF-8, integers with every digit, floats as
//! the shortest digits that read back the same, NaN and infinities refused. It is the output of
//! Python's `json.dumps(v, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)`,
//! to the byte, because that is what an author would compare it with. RFC 8785 is close but merges
//! `1` with `1.0` and integers beyond 2^53 with their neighbours, which a step key must keep apart.

use std::fmt::Write;

/// How deeply arrays and objects may be nested: the limit of `serde_json`, so that every text
/// accepted here is accepted everywhere.
pub const DEPTH_MAX: usize = 127;

/// Why a text has no canonical form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The text is not one JSON value.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// What the grammar allows at this place.
        expected: &'static str,
        /// Byte offset into the text.
        at: usize,
    },
    /// A float that no finite `f64` holds, such as `1e400`.
    #[error("the number at byte {at} is too large for a float")]
    NotFinite {
        /// Byte offset into the text.
        at: usize,
    },
    /// Two members of an object have one name, so that readers could disagree about the value.
    #[error("the key `{key}` occurs twice in one object")]
    DuplicateKey {
        /// The name that is repeated.
        key: String,
    },
    /// Half of a surrogate pair: text that no UTF-8 can hold.
    #[error("the text at byte {at} holds half of a surrogate pair")]
    LoneSurrogate {
        /// Byte offset into the text.
        at: usize,
    },
    /// Arrays and objects nested deeper than [`DEPTH_MAX`].
    #[error("nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
}

/// Rewrites one JSON value in canonical form.
///
/// # Errors
/// The text is not JSON, or holds a value that has no canonical form; see [`Error`].
pub fn canonical_json(text: &str) -> Result<String, Error> {
    let mut reader = Reader { text, at: 0 };
    let mut out = String::with_capacity(text.len());
    reader.value(&mut out, 0)?;
    reader.skip_space();
    match reader.peek() {
        None => Ok(out),
        Some(_) => Err(reader.expected("the end of the text")),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self, out: &mut String, depth: usize) -> Result<(), Error> {
        self.skip_space();
        match self.peek() {
            Some(b'{' | b'[') if depth == DEPTH_MAX => Err(Error::TooDeep),
            Some(b'{') => self.object(out, depth + 1),
            Some(b'[') => self.array(out, depth + 1),
            Some(b'"') => self.string().map(|text| write_string(out, &text)),
            Some(b'-' | b'0'..=b'9') => self.number(out),
            _ => self.word(out),
        }
    }

    fn object(&mut self, out: &mut String, depth: usize) -> Result<(), Error> {
        let mut members: Vec<(String, String)> = Vec::new();
        self.at += 1;
        self.skip_space();
        if !self.take(b'}') {
            loop {
                self.skip_space();
                let key = self.string()?;
                self.skip_space();
                self.expect(b':', "`:`")?;
                let mut value = String::new();
                self.value(&mut value, depth)?;
                members.push((key, value));
                self.skip_space();
                if self.take(b'}') {
                    break;
                }
                self.expect(b',', "`,` or `}`")?;
            }
        }
        // UTF-8 sorts by byte as it does by code point.
        members.sort_by(|(a, _), (b, _)| a.cmp(b));
        if let Some(twins) = members.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::DuplicateKey { key: twins[0].0.clone() });
        }
        out.push('{');
        for (index, (key, value)) in members.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            write_string(out, key);
            out.push(':');
            out.push_str(value);
        }
        out.push('}');
        Ok(())
    }

    fn array(&mut self, out: &mut String, depth: usize) -> Result<(), Error> {
        self.at += 1;
        out.push('[');
        self.skip_space();
        if self.take(b']') {
            out.push(']');
            return Ok(());
        }
        loop {
            self.value(out, depth)?;
            self.skip_space();
            if self.take(b']') {
                out.push(']');
                return Ok(());
            }
            self.expect(b',', "`,` or `]`")?;
            out.push(',');
        }
    }

    fn string(&mut self) -> Result<String, Error> {
        let start = self.at;
        self.expect(b'"', "text in double quotes")?;
        let mut out = String::new();
        loop {
            let plain = self.rest().find(|c: char| c == '"' || c == '\\' || c < ' ');
            let Some(length) = plain else {
                self.at = self.text.len();
                return Err(self.expected("a closing `\"`"));
            };
            out.push_str(&self.rest()[..length]);
            self.at += length;
            match self.bump() {
                Some(b'"') => return Ok(out),
                Some(b'\\') => out.push(self.escape(start)?),
                _ => {
                    self.at -= 1;
                    return Err(self.expected("no raw control character"));
                }
            }
        }
    }

    fn escape(&mut self, start: usize) -> Result<char, Error> {
        Ok(match self.bump() {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode_escape(start),
            _ => return Err(self.expected("one of \"\\/bfnrtu after a backslash")),
        })
    }

    fn unicode_escape(&mut self, start: usize) -> Result<char, Error> {
        let lone = Error::LoneSurrogate { at: start };
        let first = self.four_hex_digits()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first).ok_or(lone);
        }
        if !self.rest().starts_with("\\u") {
            return Err(lone);
        }
        self.at += 2;
        let second = self.four_hex_digits()?;
        if !(0xdc00..0xe000).contains(&second) {
            return Err(lone);
        }
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(lone)
    }

    fn four_hex_digits(&mut self) -> Result<u32, Error> {
        let digits = self.rest().get(..4).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let Some(digits) = digits else { return Err(self.expected("four hex digits")) };
        let code = u32::from_str_radix(digits, 16).expect("four hex digits fit");
        self.at += 4;
        Ok(code)
    }

    /// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`, RFC 8259 section 6.
    fn number(&mut self, out: &mut String) -> Result<(), Error> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        let mut is_float = false;
        if self.take(b'.') {
            is_float = true;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            is_float = true;
            self.at += 1;
            if !self.take(b'+') {
                self.take(b'-');
            }
            self.digits()?;
        }
        let spelled = &self.text[start..self.at];
        if is_float {
            let value: f64 = spelled.parse().expect("the grammar above is that of f64");
            if value.is_infinite() {
                return Err(Error::NotFinite { at: start });
            }
            write_float(out, value);
        } else {
            out.push_str(if spelled == "-0" { "0" } else { spelled });
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Error> {
        let length = self.rest().bytes().take_while(u8::is_ascii_digit).count();
        self.at += length;
        if length == 0 { Err(self.expected("a digit")) } else { Ok(()) }
    }

    fn word(&mut self, out: &mut String) -> Result<(), Error> {
        let known = ["null", "true", "false"].into_iter().find(|w| self.rest().starts_with(w));
        let Some(word) = known else { return Err(self.expected("a JSON value")) };
        self.at += word.len();
        out.push_str(word);
        Ok(())
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn bump(&mut self) -> Option<u8> {
        let byte = self.peek();
        self.at += usize::from(byte.is_some());
        byte
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), Error> {
        if self.take(byte) { Ok(()) } else { Err(self.expected(expected)) }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn expected(&self, expected: &'static str) -> Error {
        Error::Syntax { expected, at: self.at }
    }
}

/// Writes text as a canonical JSON string.
pub fn write_string(out: &mut String, text: &str) {
    out.push('"');
    // Without a way out the loop looks at many bytes at once.
    let is_escaped = |byte| byte < b' ' || byte == b'"' || byte == b'\\';
    if !text.bytes().fold(false, |found, byte| found | is_escaped(byte)) {
        out.push_str(text);
        out.push('"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            c if c < ' ' => write!(out, "\\u{:04x}", u32::from(c)).expect("text takes all"),
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Lays out a finite float as Python's `repr` does: with a point from 1e-4 up to 1e16, else with an
/// exponent of at least two digits.
pub fn write_float(out: &mut String, value: f64) {
    let (digits, exponent) = shortest_digits(value.abs());
    let (first, rest) = digits.split_at(1);
    if value.is_sign_negative() {
        out.push('-');
    }
    let written = match usize::try_from(exponent) {
        Ok(n_before) if n_before < 16 && rest.len() <= n_before => {
            write!(out, "{first}{rest:0<n_before$}.0")
        }
        Ok(n_before) if n_before < 16 => {
            write!(out, "{first}{}.{}", &rest[..n_before], &rest[n_before..])
        }
        Err(_) if exponent >= -4 => {
            write!(out, "0.{}{digits}", &"000"[..(-1 - exponent).unsigned_abs() as usize])
        }
        _ => {
            let point = if rest.is_empty() { "" } else { "." };
            let sign = if exponent < 0 { '-' } else { '+' };
            write!(out, "{first}{point}{rest}e{sign}{:02}", exponent.abs())
        }
    };
    written.expect("text takes all");
}

/// The shortest digits that read back the same, without zeros at their ends, and the power of ten of
/// the first one.
///
/// Of several that are as short it is the nearest, and of two that are as near the even one, as
/// IEEE 754 and Python have it. That is how `serde_json` prints; Rust's own formatter takes the larger.
fn shortest_digits(value: f64) -> (String, i32) {
    let printed = serde_json::to_string(&value).expect("a float is printed");
    let (mantissa, exponent) = printed.split_once('e').unwrap_or((&printed, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let n_zeros = all.len() - digits.len();
    let exponent: i32 = exponent.parse().expect("an exponent is a whole number");
    match digits.trim_end_matches('0') {
        "" => ("0".into(), 0),
        kept => (kept.into(), exponent + whole.len() as i32 - n_zeros as i32 - 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_value_has_one_spelling() {
        let cases = [
            (r#" { "b" : [ 1 , 2 ] , "a" : null } "#, r#"{"a":null,"b":[1,2]}"#),
            (r#""\u00e9\n\u0001\/""#, "\"é\\n\\u0001/\""),
            (r#""\ud83d\ude00""#, "\"😀\""),
            ("-0", "0"),
            ("-0.0", "-0.0"),
            ("1.0", "1.0"),
            ("100e-2", "1.0"),
            ("1e15", "1000000000000000.0"),
            ("9007199254740992.0", "9007199254740992.0"),
            ("123456.5", "123456.5"),
            ("0.00012345", "0.00012345"),
            ("1.25e-5", "1.25e-05"),
            // Both `…30.2` and `…30.3` read back the same and are as near.
            ("896490845381430.25", "896490845381430.2"),
            ("-90222124626637.125", "-90222124626637.12"),
            ("1e16", "1e+16"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("1.5e300", "1.5e+300"),
            ("5e-324", "5e-324"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ];
        for (text, expected) in cases {
            assert_eq!(canonical_json(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_canonical_form_is_refused() {
        for text in [
            "",
            "NaN",
            "Infinity",
            "-",
            "01",
            "1.",
            ".5",
            "1e",
            "[1,]",
            "{\"a\":1,}",
            "[1 2]",
            "tru",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\\udc00\"",
            "\"\\ud800\\u0041\"",
            "\"open",
            "\"\u{1}\"",
            "1 2",
            "1e400",
            "{\"a\":1,\"a\":1}",
            "\u{feff}1",
            "'a'",
            "{1:2}",
        ] {
            assert!(canonical_json(text).is_err(), "{text:?} was accepted");
        }
    }

    #[test]
    fn nesting_is_bounded_as_in_serde_json() {
        let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        for depth in [1, DEPTH_MAX, DEPTH_MAX + 1, 10_000] {
            let elsewhere = serde_json::from_str::<serde_json::Value>(&nested(depth)).is_ok();
            assert_eq!(canonical_json(&nested(depth)).is_ok(), elsewhere, "depth {depth}");
        }
    }

    fn any_json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<u64>().prop_map(Into::into),
            prop::num::f64::NORMAL.prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Into::into),
                prop::collection::btree_map(".*", inner, 0..8).prop_map(|members| members
                    .into_iter()
                    .collect::<serde_json::Map<_, _>>()
                    .into()),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_json_keeps_the_value_and_is_idempotent(value in any_json()) {
            let once = canonical_json(&value.to_string()).expect("serde_json prints JSON");
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&once).expect("JSON"), value);
            prop_assert_eq!(canonical_json(&once), Ok(once));
        }

        #[test]
        fn no_text_makes_it_panic_and_it_accepts_only_json(text in ".{0,64}") {
            if canonical_json(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
