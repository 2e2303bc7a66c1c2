//! The RPC client, for programs that wait for its answers.

use std::pin::pin;
use std::time::Duration;

use hero_schema::{ErrorKind, Json, RpcError};
use pyo3::exceptions::{PyException, PyOSError, PyValueError};
use pyo3::prelude::*;
use tokio::runtime::{Builder, Runtime};

pyo3::create_exception!(
    _native,
    CallFailed,
    PyException,
    "A call that was answered by an error, or not at all: (kind, code, message, hint)."
);

/// How often a waiting call looks whether Ctrl-C was pressed.
const SIGNALS_LOOKED_AT_EVERY: Duration = Duration::from_millis(100);

/// A client of one server. Threads may share it.
#[pyclass(frozen)]
pub(crate) struct Client {
    rpc: hero_rpc::Client,
    runtime: Runtime,
}

#[pymethods]
impl Client {
    /// Remembers the socket; nothing is connected before the first call.
    #[new]
    fn new(socket_path: &str) -> PyResult<Self> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(Self { rpc: hero_rpc::Client::new(socket_path), runtime })
    }

    /// Calls `LogicService.<method>` and returns its result as JSON text.
    fn call(&self, py: Python<'_>, method: &str, params_json: &str) -> PyResult<String> {
        let params =
            Json::parse(params_json).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut call = pin!(self.rpc.call_raw(method, params));
        loop {
            let answered = py.detach(|| {
                self.runtime.block_on(async {
                    tokio::time::timeout(SIGNALS_LOOKED_AT_EVERY, call.as_mut()).await
                })
            });
            match answered {
                Ok(Ok(result)) => return Ok(result.text().to_owned()),
                Ok(Err(error)) => return Err(call_failed(error)),
                Err(_elapsed) => py.check_signals()?,
            }
        }
    }
}

fn call_failed(error: RpcError) -> PyErr {
    let RpcError { kind, message, hint } = error;
    let kind: ErrorKind = kind;
    CallFailed::new_err((kind.word(), kind.code(), message, hint))
}
