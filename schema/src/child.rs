//! What a launch is handed.

use serde::{Deserialize, Serialize};

use crate::Json;

/// The version of the child contract; a `hello` with another one is refused.
pub const PROTOCOL: u32 = 1;

/// The content of the file that [`crate::env::INPUT_FILE`] names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "describe", derive(schemars::JsonSchema))]
pub struct LaunchOrder {
    /// Proves in `hello` that the process was started by this supervisor for this launch.
    pub token: String,
    /// The directory that holds the bundle.
    pub bundle_dir: String,
    /// The file with the root flow, relative to `bundle_dir`.
    pub entry: String,
    /// The root flow's name.
    pub flow: String,
    /// The arguments, a JSON object.
    pub inputs: Json,
}
