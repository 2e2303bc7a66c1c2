//! `workflow_save_from_play`

use std::collections::BTreeMap;

use hero_core::{answer, template};
use hero_schema::rpc::{InputDeclaration, SavedWorkflow, WorkflowSaveFromPlay};
use hero_schema::step::version_sid;
use hero_schema::{
    ErrorKind, FieldType, FlowField, FlowSignature, FrozenPlan, Json, Outcome, PlayRecord,
    PlayStatus, RpcError, SavedPlay, WorkflowVersion,
};
use serde::Serialize;

use super::workflow_save;
use crate::errors;
use crate::service::Service;

pub(crate) async fn run(
    service: &Service,
    params: WorkflowSaveFromPlay,
) -> Result<SavedWorkflow, RpcError> {
    workflow_save::check_name(&params.name)?;
    let play = service.record(&params.play_sid).await?;
    check_success(&play)?;
    let source = service.supervisor.version(&play.version_sid).await;
    let source = source.map_err(errors::of_supervisor)?;
    let plans = plans_of(service, &play, &source).await?;
    let version = version_of(service, &params, &play, &source, plans)?;
    let saved = version.saved.as_ref().expect("it was saved from a play");
    let frozen = saved.plans.keys().cloned().collect();
    let missing_plans = version.missing_plans().into_iter().map(Into::into).collect();
    let fully_frozen = version.is_fully_frozen();
    let workflow = workflow_save::save(service, &params.name, version).await?;
    Ok(SavedWorkflow { workflow, fully_frozen, frozen, missing_plans })
}

fn check_success(play: &PlayRecord) -> Result<(), RpcError> {
    if play.status == PlayStatus::Success {
        return Ok(());
    }
    let message = format!(
        "play `{}` is `{}`: only a play that has succeeded can be saved",
        play.sid, play.status
    );
    let hint = match play.status.is_ended() {
        true => {
            "`hero_logic retry` goes on from where it stopped; save the play that then succeeds"
        }
        false => "wait for its end",
    };
    Err(RpcError::new(ErrorKind::IllegalTransition, message).hint(hint))
}

/// The outputs of the plan steps by place: those of the play, and those that it took over itself.
async fn plans_of(
    service: &Service,
    play: &PlayRecord,
    source: &WorkflowVersion,
) -> Result<BTreeMap<String, FrozenPlan>, RpcError> {
    let taken_over = source.saved.iter().flat_map(|saved| saved.plans.clone());
    let mut plans: BTreeMap<_, _> = taken_over.collect();
    for step in service.store.outcomes(&play.sid).await.map_err(errors::of_store)? {
        if let (true, Some(place), Outcome::Returned(output)) =
            (step.plan, step.place, step.outcome)
        {
            plans.insert(place, FrozenPlan { name: step.name, output });
        }
    }
    Ok(plans)
}

fn version_of(
    service: &Service,
    params: &WorkflowSaveFromPlay,
    play: &PlayRecord,
    source: &WorkflowVersion,
    plans: BTreeMap<String, FrozenPlan>,
) -> Result<WorkflowVersion, RpcError> {
    let flow_signature = source.flow_signature().clone();
    let (arguments, signature) = match &params.inputs {
        None if params.input_data.is_empty() => (None, flow_signature.clone()),
        declared => {
            let declared = declared.as_deref().unwrap_or_default();
            let (arguments, inputs) = declared_inputs(params, play, &flow_signature, declared)?;
            let input_schema = Some(schema_of(&inputs)?);
            (Some(arguments), FlowSignature { inputs, input_schema, ..flow_signature.clone() })
        }
    };
    let saved = SavedPlay { play_sid: play.sid.clone(), flow_signature, arguments, plans };
    let bundle = source.bundle.clone();
    let sid = saved.version_sid(&version_sid(&bundle), &signature.inputs);
    let created_at = service.store.now();
    Ok(WorkflowVersion { sid, bundle, signature, saved: Some(saved), created_at })
}

/// The arguments with placeholders, and the inputs that these stand for.
fn declared_inputs(
    params: &WorkflowSaveFromPlay,
    play: &PlayRecord,
    flow: &FlowSignature,
    declared: &[InputDeclaration],
) -> Result<(Json, Vec<FlowField>), RpcError> {
    let parameter = |name: &str| flow.inputs.iter().find(|field| field.name == name);
    if let Some(name) = params.input_data.keys().find(|name| parameter(name).is_none()) {
        let known: Vec<_> = flow.inputs.iter().map(|field| field.name.as_str()).collect();
        let message = format!("the flow has no parameter {name:?}");
        return Err(misfit(message).hint(format!("it takes {}", known.join(", "))));
    }
    let read = play.input.read::<BTreeMap<String, Json>>();
    let mut arguments = read.map_err(|error| misfit(format!("the inputs do not read: {error}")))?;
    let mut fields = Vec::new();
    for input in declared {
        let bound = parameter(&input.name);
        if bound.is_some() && !params.input_data.contains_key(&input.name) {
            let text = Json::of(&template::placeholder(&input.name)).expect("text has a JSON form");
            arguments.insert(input.name.clone(), text);
        }
        fields.push(field_of(input, bound)?);
    }
    arguments.extend(params.input_data.clone());
    let arguments = Json::of(&arguments).map_err(|error| misfit(error.to_string()))?;
    template::check(&arguments, &fields).map_err(|error| misfit(error.to_string()))?;
    check_fixed(&arguments, flow, &fields)?;
    Ok((arguments, fields))
}

/// Refuses arguments that no input could make fit, where all inputs have a value already.
fn check_fixed(
    arguments: &Json,
    flow: &FlowSignature,
    fields: &[FlowField],
) -> Result<(), RpcError> {
    if fields.iter().any(|field| field.default.is_none()) {
        return Ok(());
    }
    let filled = template::fill(arguments, fields, &Json::empty_object());
    let filled = filled.map_err(|error| misfit(error.to_string()))?;
    let checked = answer::check(flow.input_schema.as_ref(), &filled);
    checked.map_err(|error| misfit(format!("with the defaults, the arguments do not fit: {error}")))
}

fn field_of(input: &InputDeclaration, bound: Option<&FlowField>) -> Result<FlowField, RpcError> {
    let field_type = input.field_type.or(bound.and_then(|field| field.field_type));
    let described = bound.map(|field| field.description.clone()).unwrap_or_default();
    let field = FlowField {
        name: input.name.clone(),
        field_type,
        description: if input.description.is_empty() {
            described
        } else {
            input.description.clone()
        },
        required: input.default.is_none(),
        default: input.default.clone(),
    };
    if let (Some(known), Some(default)) = (field_type, &field.default)
        && answer::check(Some(&type_schema(known)), default).is_err()
    {
        let message = format!("the default of `{}` is no {}: {default}", field.name, known.word());
        return Err(misfit(message));
    }
    Ok(field)
}

/// A JSON Schema for a value of a type, or for any value.
#[derive(Serialize)]
struct TypeSchema {
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    known: Option<&'static str>,
}

/// A JSON Schema for the object of the inputs.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InputSchema<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    properties: BTreeMap<&'a str, TypeSchema>,
    required: Vec<&'a str>,
    additional_properties: bool,
}

fn type_schema(known: FieldType) -> Json {
    Json::of(&TypeSchema { known: Some(known.word()) }).expect("it is JSON")
}

fn schema_of(fields: &[FlowField]) -> Result<Json, RpcError> {
    let property = |field: &FlowField| TypeSchema { known: field.field_type.map(FieldType::word) };
    let required = fields.iter().filter(|field| field.required);
    let schema = InputSchema {
        kind: "object",
        properties: fields.iter().map(|field| (field.name.as_str(), property(field))).collect(),
        required: required.map(|field| field.name.as_str()).collect(),
        additional_properties: false,
    };
    Json::of(&schema).map_err(|error| misfit(error.to_string()))
}

fn misfit(message: String) -> RpcError {
    RpcError::new(ErrorKind::InputMismatch, message)
}
