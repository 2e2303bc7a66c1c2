//! `hero_logic move`

use hero_schema::exit;
use hero_schema::rpc::{MoveChoice, Moved, MovedStep, PlayMove};

use super::Context;
use crate::args::{self, How};
use crate::follow;
use crate::output::{Paint, Stopped};
use crate::session::{self, Role};
use crate::text::visible;

pub(crate) async fn run(args: args::Move, context: Context) -> Result<i32, Stopped> {
    let makes_a_play = matches!(args.how, How::Restart | How::CarryOver) && !args.dry_run;
    let is_followed = makes_a_play && !args.detach;
    let role = if is_followed { Role::Carries } else { Role::Looks };
    session::with(context, role, async |session| {
        let order = PlayMove {
            play_sid: args.play,
            choice: choice(args.how),
            version: args.to,
            rerun: args.rerun,
            dry_run: args.dry_run,
        };
        let moved: Moved = session.call("play_move", &order).await?;
        let output = session.output();
        if let Some(play) = moved.play.as_ref().filter(|_| makes_a_play) {
            let n = (moved.kept.len(), moved.rerun.len(), moved.orphaned.len());
            output.tell(&format!("{} kept, {} to run again, {} without code", n.0, n.1, n.2));
            return follow::carry(session, play, args.detach).await;
        }
        if output.is_json {
            output.print_json(&moved)?;
        } else {
            output.print(&listed(&moved, output.paint))?;
        }
        Ok(exit::SUCCESS)
    })
    .await
}

fn choice(how: How) -> MoveChoice {
    match how {
        How::Continue => MoveChoice::Continue,
        How::Restart => MoveChoice::Restart,
        How::RollBack => MoveChoice::RollBack,
        How::CarryOver => MoveChoice::CarryOver,
    }
}

fn listed(moved: &Moved, paint: Paint) -> String {
    let number = |number: Option<u32>| number.map_or("unnumbered".into(), |n| n.to_string());
    let (from, to) = (number(moved.from_version), number(moved.to_version));
    let words = match (moved.choice, moved.dry_run) {
        (MoveChoice::Continue, _) => format!("goes on on version {from}"),
        (MoveChoice::Restart, _) => format!("would begin anew on version {to}"),
        (MoveChoice::RollBack, true) => format!("would make version {from} the current one"),
        (MoveChoice::RollBack, false) => format!("version {from} is the current one"),
        (MoveChoice::CarryOver, _) => format!("would go from version {from} to version {to}"),
    };
    let mut lines = vec![words];
    let lists = [("kept", &moved.kept), ("run again", &moved.rerun), ("orphaned", &moved.orphaned)];
    for (title, steps) in lists {
        if !steps.is_empty() {
            lines.push(String::new());
            lines.push(paint.bold(title));
            lines.extend(steps.iter().map(|step| line(step, paint)));
        }
    }
    lines.join("\n")
}

fn line(step: &MovedStep, paint: Paint) -> String {
    let place = match &step.parent_path {
        Some(path) => format!(" below {}", visible(path)),
        None => String::new(),
    };
    format!("{}{}  {}", visible(&step.name), paint.dim(&place), visible(&step.why))
}
