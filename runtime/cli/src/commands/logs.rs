//! `hero_logic logs`

use std::time::Duration;

use hero_schema::rpc::{LogPage, PlayGet, PlayLogs};
use hero_schema::{LogLevel, LogLine, LogStream, Play, PlaySid, exit};

use super::Context;
use crate::args;
use crate::output::{Paint, Stopped};
use crate::session::{self, Role, Session};
use crate::text::{time_of_day, visible};

/// How often to look for new lines.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

pub(crate) async fn run(args: args::Logs, context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let (play, level) = (args.play, args.level.map(Into::into));
        let params = PlayLogs { play_sid: play.clone(), level, cursor: None, limit: None };
        if session.output().is_json {
            let page = whole(session, params).await?;
            session.output().print_json(&page)?;
            return Ok(exit::SUCCESS);
        }
        let mut params = params;
        print_new(session, &mut params).await?;
        if args.follow {
            follow(session, &play, &mut params).await?;
        }
        Ok(exit::SUCCESS)
    })
    .await
}

/// The whole log as one page.
async fn whole(session: &mut Session, mut params: PlayLogs) -> Result<LogPage, Stopped> {
    let mut all = Vec::new();
    loop {
        let page: LogPage = session.call_again("play_logs", &params).await?;
        all.extend(page.items);
        params.cursor.clone_from(&page.next_cursor);
        if !page.has_more {
            return Ok(LogPage { items: all, next_cursor: page.next_cursor, has_more: false });
        }
    }
}

/// Prints what came since the last time.
async fn print_new(session: &mut Session, params: &mut PlayLogs) -> Result<(), Stopped> {
    loop {
        let page: LogPage = session.call_again("play_logs", params).await?;
        let output = session.output();
        for line in &page.items {
            output.print(&shown(line, output.paint))?;
        }
        params.cursor = page.next_cursor.or(params.cursor.take());
        if !page.has_more {
            return Ok(());
        }
    }
}

async fn follow(
    session: &mut Session,
    play: &PlaySid,
    params: &mut PlayLogs,
) -> Result<(), Stopped> {
    let get = PlayGet { play_sid: play.clone() };
    loop {
        // The play first: lines that are read after it has ended are complete.
        let play: Play = session.call_again("play_get", &get).await?;
        print_new(session, params).await?;
        if play.status.is_ended() {
            return Ok(());
        }
        if session.is_embedded() {
            let start = session.place().command("--start");
            session
                .output()
                .tell(&format!("no server runs, so nothing more comes; start one with: {start}"));
            return Ok(());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

fn shown(line: &LogLine, paint: Paint) -> String {
    let text = visible(&console::strip_ansi_codes(&line.text));
    let text = match line.level {
        LogLevel::Debug => paint.dim(&text),
        LogLevel::Info => text,
        LogLevel::Warning => paint.yellow(&format!("warning: {text}")),
        LogLevel::Error => paint.red(&format!("error: {text}")),
    };
    let stream = match line.stream {
        LogStream::Log => "log",
        LogStream::Stdout => "stdout",
        LogStream::Stderr => "stderr",
        LogStream::Supervisor => "supervisor",
    };
    format!("{} {text}", paint.dim(&format!("{} {stream:<10}", time_of_day(line.at))))
}

#[cfg(test)]
mod tests {
    use hero_schema::{LaunchNumber, Timestamp};

    use super::*;

    #[test]
    fn a_line_tells_when_where_and_how_loud() {
        let mut line = LogLine {
            launch: LaunchNumber(1),
            seq: 1,
            at: Timestamp(1_500_000),
            stream: LogStream::Stderr,
            level: LogLevel::Warning,
            span_id: None,
            text: "\x1b[31mlow\x1b[0m\r\x07".into(),
        };
        let plain = Paint { is_on: false };
        assert_eq!(shown(&line, plain), "00:00:01.500 stderr     warning: low\\u{d}\\u{7}");
        (line.level, line.text) = (LogLevel::Info, "fine".into());
        assert_eq!(shown(&line, plain), "00:00:01.500 stderr     fine");
    }
}
