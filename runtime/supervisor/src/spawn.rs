//! Child plays: started together with the question that their end answers.

use hero_core::{Decision, Event, Transition, template};
use hero_schema::frame::Spawn;
use hero_schema::step::{child_play_sid, version_sid};
use hero_schema::{
    Bundle, FlowSignature, Json, Outcome, PlayRecord, PlaySid, Raised, ResumeId, Starter,
    Timestamp, WorkflowSid, WorkflowVersion,
};
use hero_store::Write;

use crate::Error;
use crate::decide::Start;
use crate::family::outcome_of;
use crate::supervisor::Supervisor;

/// What a spawned play is when its parent asks for it.
pub(crate) enum Child {
    /// It starts with the question.
    Starts(Box<Start>),
    /// It was started before and has not ended.
    Runs,
    /// It cannot be started, or has ended: this is the answer.
    Ended(Outcome),
}

struct Code {
    workflow_sid: Option<WorkflowSid>,
    version: WorkflowVersion,
    /// The arguments of its flow.
    input: Json,
}

impl Supervisor {
    /// Looks for the child of a step, and prepares its start where there is none. The sid is derived
    /// from the step, so a parent that is relaunched finds the child that it has.
    pub(crate) async fn child(
        &self,
        parent: &PlayRecord,
        request: &ResumeId,
        spawn: &Spawn,
    ) -> Result<Child, Error> {
        let sid = child_play_sid(&parent.sid, &spawn.step_key);
        if let Some(child) = self.shared.store.play(&sid).await? {
            return Ok(match child.status.is_ended() {
                true => Child::Ended(outcome_of(&child)),
                false => Child::Runs,
            });
        }
        let code = match self.code_of(parent, spawn).await? {
            Ok(code) => code,
            Err(raised) => return Ok(Child::Ended(Outcome::Raised(raised))),
        };
        let now = self.shared.store.now();
        let accepted = PlayRecord {
            name: spawn.target.clone(),
            workflow_sid: code.workflow_sid,
            prefill: parent.prefill.clone(),
            prefill_only: parent.prefill_only,
            forbids_replan: parent.forbids_replan,
            parent: Some(parent.sid.clone()),
            started_by: Some(Starter::Parent { play_sid: parent.sid.clone() }),
            parent_request: Some(request.clone()),
            python: parent.python.clone(),
            working_dir: parent.working_dir.clone(),
            ..PlayRecord::new(sid, code.version.sid.clone(), code.input, now)
        };
        let transition = first_launch(&accepted, now)?;
        let writes = vec![Write::Version(Box::new(code.version))];
        Ok(Child::Starts(Box::new(Start { writes, transition: Some(transition) })))
    }

    /// The code of the child: another flow of the parent's bundle, or a saved workflow.
    async fn code_of(
        &self,
        parent: &PlayRecord,
        spawn: &Spawn,
    ) -> Result<Result<Code, Raised>, Error> {
        let store = &self.shared.store;
        if spawn.is_in_bundle {
            let version = self.version(&parent.version_sid).await?;
            let bundle = Bundle { flow: spawn.target.clone(), ..version.bundle.clone() };
            let (env, plans) = (version.signature.env.clone(), version.signature.plans.clone());
            let signature = FlowSignature { env, plans, ..Default::default() };
            let sid = version_sid(&bundle);
            let version =
                WorkflowVersion { sid, bundle, signature, saved: None, created_at: store.now() };
            let input = spawn.inputs.clone();
            return Ok(Ok(Code { workflow_sid: None, version, input }));
        }
        let raised = |message| Ok(Err(Raised::by_the_runtime("FlowNotFound", message, &[])));
        let found = match self.resolve(&spawn.target).await {
            Ok(found) => found,
            Err(Error::NoSuchWorkflow(name)) => {
                return raised(format!("there is no flow and no workflow `{name}`"));
            }
            Err(error @ Error::NoSuchVersion { .. }) => return raised(error.to_string()),
            Err(error) => return Err(error),
        };
        if let Some(around) = self.is_within(parent, &found.workflow.sid).await? {
            let name = &found.workflow.name;
            let message = format!(
                "workflows invoke each other in a circle: `{name}` runs already, as play `{around}`"
            );
            return Ok(Err(Raised::by_the_runtime("DefinitionError", message, &[])));
        }
        let version = self.version(&found.version.sid).await?;
        let schema = version.signature.input_schema.as_ref();
        let checked =
            hero_core::answer::check(schema, &spawn.inputs).map_err(|misfit| misfit.to_string());
        let input = checked.and_then(|()| match &version.saved {
            Some(saved) => template::arguments(saved, &version.signature.inputs, &spawn.inputs),
            None => Ok(spawn.inputs.clone()),
        });
        let input = match input {
            Ok(input) => input,
            Err(misfit) => {
                let message =
                    format!("the inputs do not fit workflow `{}`: {misfit}", spawn.target);
                return Ok(Err(Raised::by_the_runtime("ArgumentError", message, &[])));
            }
        };
        let version = WorkflowVersion::clone(&version);
        Ok(Ok(Code { workflow_sid: Some(found.workflow.sid), version, input }))
    }
}

impl Supervisor {
    /// The play of this workflow that a play is, or was spawned within.
    async fn is_within(
        &self,
        play: &PlayRecord,
        workflow: &WorkflowSid,
    ) -> Result<Option<PlaySid>, Error> {
        let mut play = play.clone();
        loop {
            if play.workflow_sid.as_ref() == Some(workflow) {
                return Ok(Some(play.sid));
            }
            let Some(parent) = &play.parent else { return Ok(None) };
            let Some(parent) = self.shared.store.play(parent).await? else { return Ok(None) };
            play = parent;
        }
    }
}

/// A play that is accepted, in its first launch.
pub(crate) fn first_launch(accepted: &PlayRecord, now: Timestamp) -> Result<Transition, Error> {
    match hero_core::apply(accepted, Event::LaunchDue, now)? {
        Decision::Change(transition) => Ok(*transition),
        Decision::NoChange => unreachable!("a new play is always due for its first launch"),
    }
}
