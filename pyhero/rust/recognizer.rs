//! The short way of a call that stands in no special place: recognised, looked up and shown in one go.
//!
//! `_step.py` says what happens to a call, and does it wherever this here hands the call back. Both
//! count calls in the same `Occurrences`, look into the same memory and write the same frames.

use std::sync::{Arc, Mutex, PoisonError};

use hero_schema::{SpanPlace, StepKey, step};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};

use crate::arguments::Signature;
use crate::cache::{Remembered, ReplayCache};
use crate::channel::Channel;
use crate::digest::Digest;
use crate::form::Form;
use crate::frames::SpanStart;
use crate::occurrences::Occurrences;

/// Recognises the calls of one flow in one launch.
#[pyclass(frozen)]
pub(crate) struct Recognizer {
    version: String,
    channel: Py<Channel>,
    memory: Py<ReplayCache>,
    name: String,
    signature: Py<Signature>,
    returns: Form,
    source_file: Option<String>,
    source_line: Option<u32>,
    surroundings: Surroundings,
    /// The call in which this flow was called last.
    parent: Mutex<Option<Arc<Parent>>>,
}

/// Where Python keeps what tells in which place code runs.
struct Surroundings {
    get_frame: Py<PyAny>,
    get_branch: Py<PyAny>,
    modules: Py<PyDict>,
}

/// A frame in which flows are called. Nothing of it that is kept here ever changes.
struct Parent {
    frame: Py<PyAny>,
    /// Whether it is the root flow, as seen by code that stands in no frame.
    is_implied: bool,
    path: String,
    span_id: String,
    occurrences: Py<Occurrences>,
    paused_in: Py<PyList>,
}

/// A call that was counted and shown, and is Python's to go on with.
#[pyclass(frozen, get_all)]
pub(crate) struct Recognized {
    /// The frame in which it stands.
    parent: Py<PyAny>,
    name: String,
    key: String,
    /// What it makes itself stands under this path.
    path: String,
    /// Canonical JSON.
    arguments: String,
    /// How it ended in an earlier launch; None where it has to be run.
    outcome: Option<String>,
}

#[pymethods]
impl Recognizer {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "all that a call needs is gathered here once")]
    fn new(
        py: Python<'_>,
        version: String,
        channel: Py<Channel>,
        memory: Py<ReplayCache>,
        name: String,
        signature: Py<Signature>,
        returns: &str,
        source: Option<(String, u32)>,
        get_frame: Py<PyAny>,
        get_branch: Py<PyAny>,
    ) -> PyResult<Self> {
        let modules = py.import("sys")?.getattr("modules")?.cast_into::<PyDict>()?.unbind();
        let (source_file, source_line) = source.unzip();
        let returns = Form::parse(returns)?;
        Ok(Self {
            version,
            channel,
            memory,
            name,
            signature,
            returns,
            source_file,
            source_line,
            surroundings: Surroundings { get_frame, get_branch, modules },
            parent: Mutex::new(None),
        })
    }

    /// What the call returned in an earlier launch; `Recognized` where there is more to it than that;
    /// `NotImplemented`, with nothing done, where its place or an argument is special.
    fn call<'py>(
        &self,
        play: &Bound<'py, PyAny>,
        args: &Bound<'py, PyTuple>,
        kwargs: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = play.py();
        let not_here = || Ok(py.NotImplemented().into_bound(py));
        let Some(parent) = self.parent(play)? else { return not_here() };
        let mut arguments = String::with_capacity(64);
        if self.signature.get().write(&mut arguments, args, kwargs).is_err() {
            return not_here();
        }
        let digest = self.digest(&parent, &arguments);
        let hex = digest.hex();
        let key = std::str::from_utf8(&hex).expect("hex digits are text");
        let remembered = self.memory.get().find(&digest);
        match remembered {
            Some((_, Some(ran_as))) => self.show_replayed(py, &parent, ran_as),
            _ => self.show(py, &parent, key, &arguments, remembered.is_some()),
        }
        let remembered = remembered.map(|(remembered, _)| remembered);
        if let Some(Remembered::Returned(payload)) = remembered
            && let Ok(value) = self.returns.read(py, payload)
        {
            return Ok(value);
        }
        let recognized = Recognized {
            parent: parent.frame.clone_ref(py),
            name: self.name.clone(),
            key: key.to_owned(),
            path: step::step_path(&parent.path, &self.name, &StepKey::new(key)),
            arguments,
            outcome: remembered.map(Remembered::text),
        };
        Ok(Bound::new(py, recognized)?.into_any())
    }
}

impl Recognizer {
    /// The call in which this code stands. None where that takes more than a look: in other threads and
    /// in tasks, which branch off from somewhere, and under a call that has paused.
    fn parent(&self, play: &Bound<'_, PyAny>) -> PyResult<Option<Arc<Parent>>> {
        let py = play.py();
        if !self.channel.get().is_at_home()
            || self.surroundings.has_event_loop(py)?
            || !self.surroundings.get_branch.bind(py).call0()?.is_none()
        {
            return Ok(None);
        }
        let frame = self.surroundings.get_frame.bind(py).call0()?;
        let known = self.parent.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let parent = match known.filter(|known| known.is(&frame)) {
            Some(parent) => parent,
            None => match Parent::read(play, frame)? {
                Some(parent) => {
                    let parent = Arc::new(parent);
                    let mut place = self.parent.lock().unwrap_or_else(PoisonError::into_inner);
                    let earlier = place.replace(parent.clone());
                    drop(place);
                    drop(earlier); // which may free a frame, and so run code that calls this flow
                    parent
                }
                None => return Ok(None),
            },
        };
        Ok(parent.paused_in.bind(py).is_empty().then_some(parent))
    }

    /// The key of this call, which is counted by that.
    fn digest(&self, parent: &Parent, arguments: &str) -> Digest {
        let parts = [&self.version, "|", &parent.path, "|", &self.name, "|", arguments];
        let first = Digest::of(&parts);
        match parent.occurrences.get().count_call(first) {
            1 => first,
            n => {
                let [a, b, c, d, e, f, g] = parts;
                Digest::of(&[a, b, c, d, e, f, g, &format!("|#{n}")])
            }
        }
    }

    fn show_replayed(&self, py: Python<'_>, parent: &Parent, ran_as: SpanPlace) {
        let more = self.memory.get().n_left() > 0;
        let SpanPlace { launch, seq } = ran_as;
        self.channel.get().post_replayed(py, &parent.span_id, launch.0, seq, more);
    }

    fn show(
        &self,
        py: Python<'_>,
        parent: &Parent,
        key: &str,
        arguments: &str,
        is_remembered: bool,
    ) {
        let mut event = String::with_capacity(320);
        SpanStart {
            span_id: &key[..16],
            parent_id: Some(&parent.span_id),
            name: &self.name,
            kind: "step",
            step_key: Some(key),
            arguments: Some(arguments),
            source_file: self.source_file.as_deref(),
            source_line: self.source_line,
            replayed: is_remembered,
        }
        .write(&mut event);
        let channel = self.channel.get();
        if is_remembered {
            channel.post(py, &event, self.memory.get().n_left() > 0);
        } else {
            channel.send(py, &event);
        }
    }
}

impl Surroundings {
    fn has_event_loop(&self, py: Python<'_>) -> PyResult<bool> {
        let Some(asyncio) = self.modules.bind(py).get_item(intern!(py, "asyncio"))? else {
            return Ok(false);
        };
        // While it is being imported it may have no such function yet.
        match asyncio.getattr_opt(intern!(py, "_get_running_loop"))? {
            Some(get) => Ok(!get.call0()?.is_none()),
            None => Ok(true),
        }
    }
}

impl Parent {
    fn is(&self, frame: &Bound<'_, PyAny>) -> bool {
        if frame.is_none() { self.is_implied } else { self.frame.is(frame) }
    }

    fn read(play: &Bound<'_, PyAny>, frame: Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = play.py();
        let is_implied = frame.is_none();
        let frame = if is_implied { play.getattr(intern!(py, "root"))? } else { frame };
        if frame.is_none() || !frame.getattr(intern!(py, "play"))?.is(play) {
            return Ok(None);
        }
        Ok(Some(Self {
            is_implied,
            path: frame.getattr(intern!(py, "path"))?.extract()?,
            span_id: frame.getattr(intern!(py, "span_id"))?.extract()?,
            occurrences: frame
                .getattr(intern!(py, "occurrences"))?
                .cast_into::<Occurrences>()?
                .unbind(),
            paused_in: frame.getattr(intern!(py, "paused_in"))?.cast_into::<PyList>()?.unbind(),
            frame: frame.unbind(),
        }))
    }
}
