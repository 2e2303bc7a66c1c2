//! Which version of which workflow is meant by a text.

use hero_core::library;
use hero_schema::{NumberedVersion, Workflow};

use crate::Error;
use crate::supervisor::Supervisor;

/// How many digits the beginning of a version sid must have: fewer would be read as a number anyway.
const BEGINNING_CHARS_MIN: usize = 7;

/// A version of a workflow.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The workflow.
    pub workflow: Workflow,
    /// The version.
    pub version: NumberedVersion,
}

impl Supervisor {
    /// The version that a text names: `NAME` or a sid for the current version of a workflow, or that
    /// with `@` and a number, a version sid, or the beginning of one behind it.
    ///
    /// # Errors
    /// There is no such workflow, or it has no such version.
    pub async fn resolve(&self, reference: &str) -> Result<Resolved, Error> {
        // No name and no sid holds an `@`.
        let (name, version) = match reference.split_once('@') {
            Some((name, version)) => (name, Some(version)),
            None => (reference, None),
        };
        let workflow = self.workflow(name).await?;
        let version = match version {
            Some(version) => self.version_of(&workflow, version).await?,
            None => current(&workflow),
        };
        Ok(Resolved { workflow, version })
    }

    /// A workflow that must be there, by its name or its sid.
    ///
    /// # Errors
    /// There is none.
    pub async fn workflow(&self, sid_or_name: &str) -> Result<Workflow, Error> {
        let found = self.shared.store.workflow(sid_or_name).await?;
        found.ok_or_else(|| Error::NoSuchWorkflow(sid_or_name.to_owned()))
    }

    /// The version of a workflow that a text names.
    ///
    /// # Errors
    /// There is none, or more than one begins so.
    pub async fn version_of(
        &self,
        workflow: &Workflow,
        version: &str,
    ) -> Result<NumberedVersion, Error> {
        let store = &self.shared.store;
        let no_such = |is_ambiguous| Error::NoSuchVersion {
            workflow: workflow.name.clone(),
            version: version.to_owned(),
            is_ambiguous,
        };
        let unnumbered = library::unnumbered(workflow);
        if version.len() < BEGINNING_CHARS_MIN {
            let number = version.parse().map_err(|_| no_such(false))?;
            let found = store.numbered_version(&workflow.sid, number).await?;
            let unnumbered = unnumbered.filter(|version| version.number == number);
            return found.or(unnumbered).ok_or_else(|| no_such(false));
        }
        let mut found = store.versions_from(&workflow.sid, version, 2).await?;
        found.extend(unnumbered.filter(|known| known.sid.as_str().starts_with(version)));
        match <[NumberedVersion; 1]>::try_from(found) {
            Ok([found]) => Ok(found),
            Err(found) => Err(no_such(!found.is_empty())),
        }
    }
}

fn current(workflow: &Workflow) -> NumberedVersion {
    NumberedVersion {
        number: workflow.version,
        sid: workflow.current_version_sid.clone(),
        saved_at: workflow.updated_at,
    }
}
