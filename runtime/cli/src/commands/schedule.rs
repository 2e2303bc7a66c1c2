//! `hero_logic schedule`

use hero_schema::rpc::{
    Deleted, FiringItem, FiringPage, ScheduleAdd, ScheduleDetail, ScheduleGet, ScheduleHistory,
    ScheduleList, SchedulePage,
};
use hero_schema::{FiringOutcome, Schedule, ScheduleState, When, exit};

use super::Context;
use super::run::call_with_inputs;
use crate::args;
use crate::inputs::Inputs;
use crate::output::{Paint, Stopped};
use crate::session::{self, Role, Session};
use crate::table::Table;
use crate::text::{duration, moment, visible};

pub(crate) async fn run(args: args::Schedule, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        match args {
            args::Schedule::Add(add) => add_one(session, add).await?,
            args::Schedule::List => list(session).await?,
            args::Schedule::Show { schedule, limit } => show(session, schedule, limit).await?,
            args::Schedule::Pause { schedule } => {
                change(session, "schedule_pause", schedule).await?;
            }
            args::Schedule::Unpause { schedule } => {
                change(session, "schedule_unpause", schedule).await?;
            }
            args::Schedule::Run { schedule } => return run_now(session, schedule).await,
            args::Schedule::Delete { schedule } => delete(session, schedule).await?,
        }
        Ok(exit::SUCCESS)
    })
    .await
}

async fn add_one(session: &mut Session, args: args::ScheduleAdd) -> Result<(), Stopped> {
    let inputs = Inputs::read(args.input_file.as_deref(), &args.input)?;
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let add = ScheduleAdd {
        workflow: args.workflow,
        name: args.name,
        cron: args.cron,
        time_zone: args.time_zone,
        every_ms: args.every.map(millis),
        at: args.at,
        input_data: None,
        overlap: args.overlap,
        catch_up_ms: args.catch_up.map(millis),
        jitter_ms: args.jitter.map(millis).unwrap_or_default(),
        allow_replan: args.allow_replan,
        paused: args.paused,
    };
    let with = |input| ScheduleAdd { input_data: Some(input), ..add.clone() };
    let detail: ScheduleDetail = call_with_inputs(session, "schedule_add", inputs, with).await?;
    tell(session, &detail)
}

async fn change(session: &mut Session, method: &str, schedule: String) -> Result<(), Stopped> {
    let detail: ScheduleDetail = session.call_again(method, &ScheduleGet { schedule }).await?;
    tell(session, &detail)
}

/// How a schedule stands after it was changed.
fn tell(session: &Session, detail: &ScheduleDetail) -> Result<(), Stopped> {
    let output = session.output();
    if output.is_json {
        return output.print_json(detail);
    }
    let ScheduleDetail { schedule, upcoming, .. } = detail;
    let next = upcoming.first().map(|due| format!(", due {}", moment(*due))).unwrap_or_default();
    output.tell(&format!("{} is {}{next}", schedule.name, schedule.state.word()));
    if session.is_embedded() && schedule.state == ScheduleState::Active {
        let start = session.place().command("--start");
        output.tell(&format!("no server runs: schedules fire while one does: {start}"));
    }
    Ok(())
}

async fn list(session: &mut Session) -> Result<(), Stopped> {
    let page: SchedulePage = session.call("schedule_list", &ScheduleList::default()).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&page);
    }
    if page.items.is_empty() {
        output.tell(
            "no schedules; make one with: hero_logic schedule add WORKFLOW --cron '0 7 * * *'",
        );
        return Ok(());
    }
    let mut table =
        Table::new(["NAME", "WORKFLOW", "WHEN", "STATE", "DUE", "LATEST PLAY"], output.paint);
    for ScheduleDetail { schedule, latest, .. } in &page.items {
        table.row([
            visible(&schedule.name),
            visible(&schedule.workflow_name),
            when(&schedule.when),
            schedule.state.word().into(),
            schedule.due.map(moment).unwrap_or_default(),
            latest.as_ref().map(|item| fate(item, output.paint)).unwrap_or_default(),
        ]);
    }
    output.print(&table.to_string())
}

async fn show(session: &mut Session, schedule: String, limit: u32) -> Result<(), Stopped> {
    let get = ScheduleGet { schedule: schedule.clone() };
    let detail: ScheduleDetail = session.call("schedule_get", &get).await?;
    let history = ScheduleHistory { schedule, cursor: None, limit: Some(limit) };
    let history: FiringPage = session.call("schedule_history", &history).await?;
    let output = session.output();
    if output.is_json {
        #[derive(serde::Serialize)]
        struct Shown {
            schedule: Schedule,
            upcoming: Vec<hero_schema::Timestamp>,
            history: Vec<FiringItem>,
        }
        let ScheduleDetail { schedule, upcoming, .. } = detail;
        return output.print_json(&Shown { schedule, upcoming, history: history.items });
    }
    let mut text = header(&detail, output.paint);
    if !history.items.is_empty() {
        text.push_str("\n\n");
        text.push_str(&table(&history.items, output.paint));
    }
    output.print(&text)?;
    if history.next_cursor.is_some() {
        output.tell(&format!("only the latest {limit}; --limit shows more"));
    }
    Ok(())
}

fn header(detail: &ScheduleDetail, paint: Paint) -> String {
    let ScheduleDetail { schedule, upcoming, .. } = detail;
    let title = format!("{}  {}", paint.bold(&visible(&schedule.name)), schedule.state.word());
    let late = match schedule.catch_up_micros {
        None => "however late".into(),
        Some(micros) => format!("up to {} late", duration(micros)),
    };
    let jitter = match schedule.jitter_micros {
        0 => String::new(),
        micros => format!("up to {}", duration(micros)),
    };
    let plans = if schedule.allow_replan { "may be made anew" } else { "" };
    let fields = [
        ("sid", schedule.sid.to_string()),
        ("workflow", visible(&schedule.workflow_name)),
        ("when", when(&schedule.when)),
        ("overlap", schedule.overlap.word().into()),
        ("catch-up", late),
        ("jitter", jitter),
        ("plans", plans.into()),
        ("input", visible(schedule.input_data.text())),
        ("made", moment(schedule.created_at)),
    ];
    let row = |name: &str, value: &str| format!("{} {value}", paint.dim(&format!("{name:<9}")));
    let fields = fields.iter().filter(|(_, value)| !value.is_empty());
    let mut lines = vec![title];
    lines.extend(fields.map(|(name, value)| row(name, value)));
    lines.extend(upcoming.iter().map(|due| row("due", &moment(*due))));
    lines.join("\n")
}

fn table(history: &[FiringItem], paint: Paint) -> String {
    let mut table = Table::new(["DUE", "BECAME", "PLAY"], paint);
    for item in history {
        let due = match &item.firing {
            firing if firing.is_asked_for => format!("{} (run)", moment(firing.due_at)),
            firing => moment(firing.due_at),
        };
        let play = match &item.firing.outcome {
            FiringOutcome::Started { play_sid } => play_sid.to_string(),
            FiringOutcome::Skipped { play_sid: Some(play_sid), .. } => {
                format!("(for {play_sid})")
            }
            _ => String::new(),
        };
        table.row([due, fate(item, paint), play]);
    }
    table.to_string()
}

/// What has become of a due time: of its play, where it has one.
fn fate(item: &FiringItem, paint: Paint) -> String {
    match (&item.firing.outcome, item.play_status) {
        (FiringOutcome::Started { .. }, Some(status)) => paint.status(status),
        (FiringOutcome::Started { .. }, None) => "started; the play was deleted".into(),
        (FiringOutcome::Queued, _) => "waits for its turn".into(),
        (FiringOutcome::Claimed, _) => "is about to start".into(),
        (FiringOutcome::Refused { message }, _) => {
            paint.red(&format!("not started: {}", visible(message)))
        }
        (FiringOutcome::Skipped { reason, n_due: 1, .. }, _) => {
            paint.yellow(&format!("skipped: {}", reason.word()))
        }
        (FiringOutcome::Skipped { reason, n_due, last_due_at, .. }, _) => {
            let until = moment(*last_due_at);
            paint.yellow(&format!("{n_due} skipped until {until}: {}", reason.word()))
        }
    }
}

fn when(when: &When) -> String {
    match when {
        When::Cron { expression, time_zone } => {
            format!("{} {}", visible(expression), visible(time_zone))
        }
        When::Every { micros } => format!("every {}", duration(*micros)),
        When::At(at) => format!("at {}", moment(*at)),
    }
}

async fn run_now(session: &mut Session, schedule: String) -> Result<i32, Stopped> {
    let item: FiringItem = session.call("schedule_run", &ScheduleGet { schedule }).await?;
    let output = session.output();
    let has_failed = matches!(item.firing.outcome, FiringOutcome::Refused { .. });
    if output.is_json {
        output.print_json(&item)?;
    } else if let FiringOutcome::Started { play_sid } = &item.firing.outcome {
        output.print(play_sid.as_str())?;
        if session.is_embedded() {
            let wait = session.place().command(&format!("wait {play_sid}"));
            output.tell(&format!("no server runs: the play goes on with {wait}"));
        }
    } else {
        output.tell(&fate(&item, output.paint));
    }
    Ok(if has_failed { exit::FAILED } else { exit::SUCCESS })
}

async fn delete(session: &mut Session, schedule: String) -> Result<(), Stopped> {
    let get = ScheduleGet { schedule };
    let deleted: Deleted = session.call("schedule_delete", &get).await?;
    let output = session.output();
    if output.is_json {
        return output.print_json(&deleted);
    }
    output.tell(&format!("deleted schedule {}; its plays stay", get.schedule));
    Ok(())
}
