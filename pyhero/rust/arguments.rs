//! What a call is recognised by: its arguments, bound to their names, as canonical JSON.

use hero_schema::canonical::write_string;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use crate::form::{Form, Order, Unusual};

/// The parameters of a flow, for calls with nothing unusual about them.
#[pyclass(frozen)]
pub(crate) struct Signature {
    /// Those that can be given by position come first, in their order.
    parameters: Vec<Parameter>,
    n_positional: usize,
    /// The places of the parameters by name: in the order of canonical JSON.
    sorted: Vec<usize>,
}

/// Name, form, whether it can be given by position and by name, and the default in a tuple of its own.
type Described<'py> = (String, String, bool, bool, Bound<'py, PyTuple>);

struct Parameter {
    name: String,
    /// The name as it stands in the object.
    member: String,
    can_be_named: bool,
    form: Form,
    default: Option<Py<PyAny>>,
}

#[pymethods]
impl Signature {
    /// Of parameters in the order of their definition: (name, form, can be given by position, can be
    /// given by name, (default,) or ()).
    #[new]
    fn new(parameters: Vec<Described<'_>>) -> PyResult<Self> {
        let n_positional = parameters.iter().filter(|described| described.2).count();
        let parameters: Vec<_> =
            parameters.into_iter().map(Parameter::new).collect::<PyResult<_>>()?;
        let mut sorted: Vec<usize> = (0..parameters.len()).collect();
        sorted.sort_unstable_by_key(|&index| &parameters[index].name);
        Ok(Self { parameters, n_positional, sorted })
    }

    /// The arguments of a call as canonical JSON; None where something about them is unusual.
    fn arguments(&self, args: &Bound<'_, PyTuple>, kwargs: &Bound<'_, PyDict>) -> Option<String> {
        let mut out = String::with_capacity(64);
        self.write(&mut out, args, kwargs).ok().map(|()| out)
    }
}

impl Parameter {
    fn new((name, form, _, can_be_named, default): Described<'_>) -> PyResult<Self> {
        let mut member = String::new();
        write_string(&mut member, &name);
        member.push(':');
        let default = default.iter().next().map(Bound::unbind);
        Ok(Self { name, member, can_be_named, form: Form::parse(&form)?, default })
    }
}

impl Signature {
    /// Appends the arguments. What is no call of this signature is unusual too: Python says why.
    pub(crate) fn write(
        &self,
        out: &mut String,
        args: &Bound<'_, PyTuple>,
        kwargs: &Bound<'_, PyDict>,
    ) -> Result<(), Unusual> {
        let py = args.py();
        if args.len() > self.n_positional {
            return Err(Unusual);
        }
        let mut given = Vec::with_capacity(self.parameters.len());
        given.extend(args.iter().map(Some));
        given.resize_with(self.parameters.len(), || None);
        if !kwargs.is_empty() {
            self.take_named(&mut given, kwargs)?;
        }
        out.push('{');
        for (n, &index) in self.sorted.iter().enumerate() {
            let parameter = &self.parameters[index];
            if n > 0 {
                out.push(',');
            }
            out.push_str(&parameter.member);
            match (&given[index], &parameter.default) {
                (Some(value), _) => parameter.form.write(out, value, Order::Canonical, 1)?,
                (None, Some(default)) => {
                    parameter.form.write(out, default.bind(py), Order::Canonical, 1)?;
                }
                (None, None) => return Err(Unusual),
            }
        }
        out.push('}');
        Ok(())
    }

    fn take_named<'py>(
        &self,
        given: &mut [Option<Bound<'py, PyAny>>],
        kwargs: &Bound<'py, PyDict>,
    ) -> Result<(), Unusual> {
        for (name, value) in kwargs.iter() {
            let name = name.cast_into_exact::<PyString>().map_err(|_| Unusual)?;
            let name = name.to_str().map_err(|_| Unusual)?;
            let place = self.parameters.iter().position(|p| p.can_be_named && p.name == name);
            let slot = &mut given[place.ok_or(Unusual)?];
            if slot.replace(value).is_some() {
                return Err(Unusual);
            }
        }
        Ok(())
    }
}
