//! Plain values as JSON and back, for the codecs that have nothing to say beyond JSON's own types.
//!
//! Nothing is decided here. What is unusual (a subclass, a long integer, a value of another type than
//! was annotated) is left to the codec itself, in Python, which knows what to make of it or how to
//! refuse it. What is written here is what the codec would have written, and it reads the same.

use std::borrow::Cow;
use std::fmt::Write;

use hero_schema::canonical::{write_float, write_string};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

/// Deeper values are left to Python, and so is to say how deep is too deep.
const DEPTH_MAX: usize = 64;

/// What a codec takes and gives.
pub(crate) enum Form {
    /// Any JSON value.
    Any,
    Null,
    Bool,
    Int,
    Float,
    Text,
    Optional(Box<Form>),
    List(Box<Form>),
    /// An object with any keys.
    Dict(Box<Form>),
    /// What only Python knows.
    Foreign,
}

/// In which order the members of an object are written.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Order {
    AsGiven,
    Canonical,
}

/// The value is one for Python.
pub(crate) struct Unusual;

/// The form of a codec, for its values.
#[pyclass(frozen)]
pub(crate) struct PlainForm {
    form: Form,
}

#[pymethods]
impl PlainForm {
    /// Of what `Codec.plain_form` says.
    #[new]
    fn new(described: &str) -> PyResult<Self> {
        Ok(Self { form: Form::parse(described)? })
    }

    /// The outcome of a call that returned this value, as JSON text; None where it is unusual.
    fn returned(&self, value: &Bound<'_, PyAny>) -> Option<String> {
        let mut out = String::with_capacity(64);
        out.push_str(RETURNED);
        self.form.write(&mut out, value, Order::AsGiven, 1).ok()?;
        out.push('}');
        Some(out)
    }

    /// What such an outcome says was returned; `NotImplemented` where it is unusual.
    fn open<'py>(&self, py: Python<'py>, outcome: &str) -> Bound<'py, PyAny> {
        let payload = outcome.strip_prefix(RETURNED).and_then(|rest| rest.strip_suffix('}'));
        payload
            .and_then(|payload| self.form.read(py, payload).ok())
            .unwrap_or_else(|| py.NotImplemented().into_bound(py))
    }
}

/// What stands before the payload of an outcome.
const RETURNED: &str = "{\"returned\":";

type Done = Result<(), Unusual>;

impl Form {
    /// Reads what `Codec.plain_form` says.
    pub(crate) fn parse(described: &str) -> PyResult<Self> {
        Ok(match described {
            "" => Self::Foreign,
            "any" => Self::Any,
            "null" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "float" => Self::Float,
            "str" => Self::Text,
            _ => {
                let (outer, inner) = described.split_at_checked(1).unwrap_or(("", ""));
                let inner = || Self::parse(inner).map(Box::new);
                match outer {
                    "?" => Self::Optional(inner()?),
                    "[" => Self::List(inner()?),
                    "{" => Self::Dict(inner()?),
                    _ => return Err(PyValueError::new_err(format!("`{described}` is no form"))),
                }
            }
        })
    }

    /// Appends the value as JSON.
    pub(crate) fn write(
        &self,
        out: &mut String,
        value: &Bound<'_, PyAny>,
        order: Order,
        depth: usize,
    ) -> Done {
        if depth > DEPTH_MAX {
            return Err(Unusual);
        }
        match self {
            Self::Any => write_any(out, value, order, depth),
            Self::Null if value.is_none() => push(out, "null"),
            Self::Bool => write_bool(out, value),
            Self::Int => write_int(out, value),
            Self::Float => write_number(out, value),
            Self::Text => write_text(out, value),
            Self::Optional(_) if value.is_none() => push(out, "null"),
            Self::Optional(inner) => inner.write(out, value, order, depth),
            Self::List(item) => match value.cast_exact::<PyList>() {
                Ok(list) => write_items(out, item, list.iter(), order, depth + 1),
                Err(_) => Err(Unusual),
            },
            Self::Dict(item) => write_members(out, item, value, order, depth + 1),
            Self::Null | Self::Foreign => Err(Unusual),
        }
    }

    /// The value that a valid JSON text stands for.
    pub(crate) fn read<'py>(
        &self,
        py: Python<'py>,
        text: &str,
    ) -> Result<Bound<'py, PyAny>, Unusual> {
        let mut reader = Reader { py, text, at: 0 };
        let value = reader.value(self, 0)?;
        reader.skip_space();
        if reader.at == text.len() { Ok(value) } else { Err(Unusual) }
    }
}

fn push(out: &mut String, text: &str) -> Done {
    out.push_str(text);
    Ok(())
}

fn write_any(out: &mut String, value: &Bound<'_, PyAny>, order: Order, depth: usize) -> Done {
    if value.is_exact_instance_of::<PyString>() {
        write_text(out, value)
    } else if value.is_exact_instance_of::<PyInt>() {
        write_int(out, value)
    } else if value.is_none() {
        push(out, "null")
    } else if value.is_exact_instance_of::<PyBool>() {
        write_bool(out, value)
    } else if value.is_exact_instance_of::<PyFloat>() {
        write_number(out, value)
    } else if value.is_exact_instance_of::<PyDict>() {
        write_members(out, &Form::Any, value, order, depth + 1)
    } else if let Ok(list) = value.cast_exact::<PyList>() {
        write_items(out, &Form::Any, list.iter(), order, depth + 1)
    } else if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        write_items(out, &Form::Any, tuple.iter(), order, depth + 1)
    } else {
        Err(Unusual)
    }
}

fn write_bool(out: &mut String, value: &Bound<'_, PyAny>) -> Done {
    let value = value.cast_exact::<PyBool>().map_err(|_| Unusual)?;
    push(out, if value.is_true() { "true" } else { "false" })
}

fn write_int(out: &mut String, value: &Bound<'_, PyAny>) -> Done {
    let value = value.cast_exact::<PyInt>().map_err(|_| Unusual)?;
    let value: i64 = value.extract().map_err(|_| Unusual)?;
    write!(out, "{value}").map_err(|_| Unusual)
}

fn write_number(out: &mut String, value: &Bound<'_, PyAny>) -> Done {
    let value = value.cast_exact::<PyFloat>().map_err(|_| Unusual)?.value();
    if !value.is_finite() {
        return Err(Unusual);
    }
    write_float(out, value);
    Ok(())
}

fn write_text(out: &mut String, value: &Bound<'_, PyAny>) -> Done {
    let text = value.cast_exact::<PyString>().map_err(|_| Unusual)?;
    write_string(out, text.to_str().map_err(|_| Unusual)?);
    Ok(())
}

fn write_items<'py>(
    out: &mut String,
    form: &Form,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    order: Order,
    depth: usize,
) -> Done {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        form.write(out, &item, order, depth)?;
    }
    out.push(']');
    Ok(())
}

fn write_members(
    out: &mut String,
    form: &Form,
    value: &Bound<'_, PyAny>,
    order: Order,
    depth: usize,
) -> Done {
    let dict = value.cast_exact::<PyDict>().map_err(|_| Unusual)?;
    let mut members = Vec::with_capacity(dict.len());
    for (key, item) in dict.iter() {
        members.push((key.cast_into_exact::<PyString>().map_err(|_| Unusual)?, item));
    }
    let mut spelled = Vec::with_capacity(members.len());
    for (key, item) in &members {
        spelled.push((key.to_str().map_err(|_| Unusual)?, item));
    }
    if order == Order::Canonical {
        // UTF-8 sorts by byte as it does by code point.
        spelled.sort_unstable_by_key(|(key, _)| *key);
    }
    out.push('{');
    for (index, (key, item)) in spelled.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write_string(out, key);
        out.push(':');
        form.write(out, item, order, depth)?;
    }
    out.push('}');
    Ok(())
}

/// Reads JSON that is known to be valid: it was checked when it came, or was written here.
struct Reader<'a, 'py> {
    py: Python<'py>,
    text: &'a str,
    at: usize,
}

impl<'a, 'py> Reader<'a, 'py> {
    fn value(&mut self, form: &Form, depth: usize) -> Result<Bound<'py, PyAny>, Unusual> {
        if depth > DEPTH_MAX {
            return Err(Unusual);
        }
        self.skip_space();
        match (self.peek(), form) {
            (Some(b'n'), Form::Any | Form::Null | Form::Optional(_)) => {
                self.word("null")?;
                Ok(self.py.None().into_bound(self.py))
            }
            (_, Form::Optional(inner)) => self.value(inner, depth),
            (Some(b't'), Form::Any | Form::Bool) => self.bool("true"),
            (Some(b'f'), Form::Any | Form::Bool) => self.bool("false"),
            (Some(b'"'), Form::Any | Form::Text) => {
                Ok(PyString::new(self.py, &self.string()?).into_any())
            }
            (Some(b'-' | b'0'..=b'9'), Form::Any | Form::Int | Form::Float) => self.number(form),
            (Some(b'['), Form::Any) => self.list(&Form::Any, depth),
            (Some(b'['), Form::List(item)) => self.list(item, depth),
            (Some(b'{'), Form::Any) => self.dict(&Form::Any, depth),
            (Some(b'{'), Form::Dict(item)) => self.dict(item, depth),
            _ => Err(Unusual),
        }
    }

    fn bool(&mut self, word: &str) -> Result<Bound<'py, PyAny>, Unusual> {
        self.word(word)?;
        Ok(PyBool::new(self.py, word == "true").to_owned().into_any())
    }

    fn number(&mut self, form: &Form) -> Result<Bound<'py, PyAny>, Unusual> {
        let rest = self.rest();
        let is_part = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().position(|byte| !is_part(byte)).unwrap_or(rest.len());
        let spelled = &rest[..length];
        self.at += length;
        if spelled.bytes().any(|byte| matches!(byte, b'.' | b'e' | b'E')) {
            let value: f64 = spelled.parse().map_err(|_| Unusual)?;
            let is_usual = value.is_finite() && !matches!(form, Form::Int);
            return if is_usual {
                Ok(PyFloat::new(self.py, value).into_any())
            } else {
                Err(Unusual)
            };
        }
        if matches!(form, Form::Float) {
            return Err(Unusual);
        }
        let value: i64 = spelled.parse().map_err(|_| Unusual)?;
        Ok(PyInt::new(self.py, value).into_any())
    }

    fn list(&mut self, form: &Form, depth: usize) -> Result<Bound<'py, PyAny>, Unusual> {
        self.at += 1;
        let list = PyList::empty(self.py);
        self.skip_space();
        if self.take(b']') {
            return Ok(list.into_any());
        }
        loop {
            list.append(self.value(form, depth + 1)?).map_err(|_| Unusual)?;
            self.skip_space();
            if self.take(b']') {
                return Ok(list.into_any());
            }
            self.expect(b',')?;
        }
    }

    fn dict(&mut self, form: &Form, depth: usize) -> Result<Bound<'py, PyAny>, Unusual> {
        self.at += 1;
        let dict = PyDict::new(self.py);
        self.skip_space();
        if self.take(b'}') {
            return Ok(dict.into_any());
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            self.skip_space();
            self.expect(b':')?;
            let value = self.value(form, depth + 1)?;
            dict.set_item(&*key, value).map_err(|_| Unusual)?;
            self.skip_space();
            if self.take(b'}') {
                return Ok(dict.into_any());
            }
            self.expect(b',')?;
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, Unusual> {
        let start = self.at;
        self.expect(b'"')?;
        let bytes = self.text.as_bytes();
        let mut has_escapes = false;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    has_escapes = true;
                    self.at += 2;
                }
                Some(_) => self.at += 1,
                None => return Err(Unusual),
            }
        }
        self.at += 1;
        let spelled = &self.text[start..self.at];
        if has_escapes {
            serde_json::from_str(spelled).map(Cow::Owned).map_err(|_| Unusual)
        } else {
            Ok(Cow::Borrowed(&spelled[1..spelled.len() - 1]))
        }
    }

    fn word(&mut self, word: &str) -> Done {
        if !self.rest().starts_with(word) {
            return Err(Unusual);
        }
        self.at += word.len();
        Ok(())
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, byte: u8) -> Done {
        if self.take(byte) { Ok(()) } else { Err(Unusual) }
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }
}
