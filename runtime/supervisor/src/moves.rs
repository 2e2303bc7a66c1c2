//! Plays whose workflow has another version: what can be done about them, and what that would mean.
//!
//! A play stays on its version. To move it makes a play of the other version and, where the old one still
//! waits, ends it as cancelled in the same commit: two that do the same must never go on.

use std::path::Path;

use hero_core::carry_over::{CarriedOver, Fate, Sources, Why, compare};
use hero_core::rerun::{Memory, is_step};
use hero_core::{Event, answer};
use hero_schema::rpc::{MoveChoice, MovedStep};
use hero_schema::{
    NumberedVersion, OriginKind, OutcomeRecord, PlayRecord, PlaySid, PlayStatus, Starter,
    WorkflowVersion,
};

use crate::decide::Start;
use crate::inspect::sources;
use crate::rerun::{successor, writes_of_memory};
use crate::spawn::first_launch;
use crate::supervisor::Supervisor;
use crate::{Error, bundle};

/// Where a play is to go.
#[derive(Clone, Debug)]
pub struct Target {
    /// What is to become of it.
    pub choice: MoveChoice,
    /// The version of its workflow; None takes the current one. Only for a restart and a carry-over.
    pub version: Option<String>,
    /// The names of steps that run again although they are unchanged. Only for a carry-over.
    pub rerun: Vec<String>,
}

/// What a move comes to.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// The version that the play is of; None where its workflow does not have it any more.
    pub from: Option<NumberedVersion>,
    /// The version that it goes to, or stays on; None as above.
    pub to: Option<NumberedVersion>,
    /// Steps and answers that stay.
    pub kept: Vec<MovedStep>,
    /// Steps that run again, should the flow come to them.
    pub rerun: Vec<MovedStep>,
    /// Steps that no code stands for any more.
    pub orphaned: Vec<MovedStep>,
    /// What the new play would be given.
    memory: Memory,
}

impl Supervisor {
    /// What a move would come to. Nothing is changed.
    ///
    /// # Errors
    /// There is no such play or version, the play is of no workflow, or its inputs do not fit there.
    pub async fn plan_move(&self, play: &PlaySid, target: &Target) -> Result<Plan, Error> {
        let record = self.record(play).await?;
        self.planned(&record, target).await
    }

    /// Moves a play to another version: starts one there, and ends this one where it still waits. Returns
    /// the new play, and what has become of the old one's steps.
    ///
    /// # Errors
    /// As [`Supervisor::plan_move`]; and a process of the play runs, or another play waits for it. Nothing
    /// is started or ended.
    pub async fn move_play(
        &self,
        play: &PlaySid,
        target: &Target,
        uid: u32,
    ) -> Result<(PlayRecord, Plan), Error> {
        self.check_takes_work().await?;
        loop {
            let record = self.record(play).await?;
            check_can_move(&record)?;
            let mut plan = self.planned(&record, target).await?;
            let memory = std::mem::take(&mut plan.memory);
            let starter = Starter::Move { uid };
            let next = self.moved(&record, &plan, target.choice, starter, &memory);
            let transition = first_launch(&next, next.created_at)?;
            let writes = writes_of_memory(&next.sid, memory);
            let start = Start { writes, transition: Some(transition.clone()) };
            let started = match record.status.is_ended() {
                true => self.start_beside(start).await,
                false => {
                    let end = self.try_decide_with(&record, Event::CancelRequested, start).await;
                    end.map(drop)
                }
            };
            match started {
                Ok(()) => return Ok((transition.play, plan)),
                // The play went on in between, so what it remembers is looked at again.
                Err(Error::Store(hero_store::Error::Conflict { .. })) => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn planned(&self, record: &PlayRecord, target: &Target) -> Result<Plan, Error> {
        let workflow = match &record.workflow_sid {
            Some(sid) => Some(self.workflow(sid.as_str()).await?),
            None => None,
        };
        let from = match &workflow {
            Some(workflow) => self.version_of(workflow, record.version_sid.as_str()).await.ok(),
            None => None,
        };
        let memory = self.memory(&record.sid).await?;
        if matches!(target.choice, MoveChoice::Continue | MoveChoice::RollBack) {
            let CarriedOver { fates, memory } = unchanged(memory);
            return Ok(Plan { to: from.clone(), from, ..listed(fates, &memory) });
        }
        let workflow = workflow.ok_or_else(|| Error::NoWorkflow { play: record.sid.clone() })?;
        let wanted = target.version.as_deref().unwrap_or(workflow.current_version_sid.as_str());
        let to = self.version_of(&workflow, wanted).await?;
        let version = self.version(&to.sid).await?;
        check_inputs(record, &version)?;
        let compared = match target.choice {
            MoveChoice::Restart => nothing(&memory),
            _ => self.compared(record, memory, &version, &target.rerun).await?,
        };
        let plan = listed(compared.fates, &compared.memory);
        Ok(Plan { from, to: Some(to), memory: compared.memory, ..plan })
    }

    async fn compared(
        &self,
        record: &PlayRecord,
        memory: Memory,
        to: &WorkflowVersion,
        rerun: &[String],
    ) -> Result<CarriedOver, Error> {
        let from = self.version(&record.version_sid).await?;
        let old = self.sources(record, &from).await?;
        let new = self.sources(record, to).await?;
        // A play that did not succeed is carried over to succeed: as in a retry, what failed runs again.
        let has_failed = record.status.is_ended() && record.status != PlayStatus::Success;
        let usable = match has_failed {
            true => memory.clone().without_failures(),
            false => memory.clone().without_undone(),
        };
        Ok(compare(&memory, usable, &old, &new, rerun))
    }

    async fn sources(
        &self,
        record: &PlayRecord,
        version: &WorkflowVersion,
    ) -> Result<Sources, Error> {
        let dir = bundle::unpack(&self.shared.settings.bundles_dir, version)?;
        let entry = dir.join(&version.bundle.entry);
        let python = record.python.as_deref().map(Path::new);
        let by_name = sources(&self.shared, &entry, python).await?;
        Ok(Sources { root: version.bundle.flow.clone(), by_name })
    }

    /// The play of the other version.
    fn moved(
        &self,
        record: &PlayRecord,
        plan: &Plan,
        choice: MoveChoice,
        starter: Starter,
        memory: &Memory,
    ) -> PlayRecord {
        let to = plan.to.as_ref().expect("a play that moves goes somewhere").sid.clone();
        let record = record.clone();
        if choice == MoveChoice::Restart {
            let next = successor(self, record, OriginKind::Restart, starter);
            let launch = Default::default();
            return PlayRecord { launch, version_sid: to, key_version_sid: None, ..next };
        }
        let key_version_sid = Some(record.key_version().clone()).filter(|sid| *sid != to);
        let idempotency_sid = Some(record.idempotency_sid.clone().unwrap_or(record.sid.clone()));
        let n_open = memory.requests.iter().filter(|request| request.is_open()).count();
        PlayRecord {
            version_sid: to,
            key_version_sid,
            idempotency_sid,
            n_open_requests: u32::try_from(n_open).unwrap_or(u32::MAX),
            ..successor(self, record, OriginKind::CarryOver, starter)
        }
    }
}

/// What a process completes while the play is moved would be lost; and another play that waits for this
/// one would be told that it was cancelled.
fn check_can_move(record: &PlayRecord) -> Result<(), Error> {
    let (play, status) = (record.sid.clone(), record.status);
    match &record.parent {
        _ if status.is_ended() => Ok(()),
        _ if status != PlayStatus::AwaitingResume => Err(Error::StillRuns { play, status }),
        Some(parent) => Err(Error::HasParent { play, parent: parent.clone() }),
        None => Ok(()),
    }
}

fn check_inputs(record: &PlayRecord, to: &WorkflowVersion) -> Result<(), Error> {
    let schema = to.signature.input_schema.as_ref();
    answer::check(schema, &record.input).map_err(|misfit| Error::InputsMisfit {
        play: record.sid.clone(),
        flow: to.bundle.flow.clone(),
        misfit: misfit.to_string(),
    })
}

/// All of a play, as it stays where it is.
fn unchanged(memory: Memory) -> CarriedOver {
    let steps = memory.outcomes.iter().map(|record| (record.clone(), Fate::Kept)).collect();
    CarriedOver { memory, fates: steps }
}

/// None of a play, as it begins anew.
fn nothing(memory: &Memory) -> CarriedOver {
    let rerun = |record: &OutcomeRecord| (record.clone(), Fate::Rerun(Why::Asked));
    let fates = memory.outcomes.iter().map(rerun).collect();
    CarriedOver { memory: Memory::default(), fates }
}

/// The fates as they are told, in the order in which the steps completed.
fn listed(mut fates: Vec<(OutcomeRecord, Fate)>, memory: &Memory) -> Plan {
    let mut plan = Plan::default();
    fates.retain(|(record, _)| is_step(record));
    fates.sort_by_key(|(record, _)| (record.launch, record.seq));
    let has_rerun = fates.iter().position(|(_, fate)| *fate != Fate::Kept);
    for (index, (record, fate)) in fates.into_iter().enumerate() {
        let is_behind = has_rerun.is_some_and(|first| index > first);
        let (list, why) = match fate {
            Fate::Kept if is_behind => {
                (&mut plan.kept, "unchanged; kept if it is called with the same arguments".into())
            }
            Fate::Kept => (&mut plan.kept, "unchanged".into()),
            Fate::Rerun(Why::Changed) => (&mut plan.rerun, "its source has changed".into()),
            Fate::Rerun(Why::Failed) => (&mut plan.rerun, "it failed or was undone".into()),
            Fate::Rerun(Why::Asked) => (&mut plan.rerun, "as asked for".into()),
            Fate::Rerun(Why::Calls(name)) => (&mut plan.rerun, format!("it calls `{name}`")),
            Fate::Orphaned => (&mut plan.orphaned, "there is no such step any more".into()),
        };
        list.push(MovedStep {
            name: record.name,
            parent_path: Some(record.parent_path),
            span_id: record.span_id,
            why,
        });
    }
    let answers = memory.requests.iter().filter(|request| request.kind.is_question());
    plan.kept.extend(answers.map(|request| MovedStep {
        name: request.name.clone(),
        parent_path: None,
        span_id: request.asked_at_span_id.clone(),
        why: match request.is_carried {
            true => "the answer stands if the same is asked".into(),
            false => "a question of the play".into(),
        },
    }));
    plan
}
