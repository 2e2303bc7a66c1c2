//! `hero_logic inbox`

use hero_schema::exit;
use hero_schema::rpc::{InboxItem, InboxList, InboxPage};

use super::Context;
use crate::ask;
use crate::output::{Paint, Stopped};
use crate::place::Place;
use crate::session::{self, Role};
use crate::text::{ago, now, short, visible};

const TITLE_CHARS_MAX: usize = 100;

pub(crate) async fn run(context: Context) -> Result<i32, Stopped> {
    session::with(context, Role::Looks, async |session| {
        let page: InboxPage = session.call("inbox_list", &InboxList::default()).await?;
        let output = session.output();
        if output.is_json {
            output.print_json(&page)?;
            return Ok(exit::SUCCESS);
        }
        if page.items.is_empty() {
            output.tell("nothing waits for an answer");
            return Ok(exit::SUCCESS);
        }
        let items = page.items.iter().map(|item| shown(item, session.place(), output.paint));
        output.print(&items.collect::<Vec<_>>().join("\n\n"))?;
        if page.next_cursor.is_some() {
            output.tell("these are the oldest; answer some to see more");
        }
        Ok(exit::SUCCESS)
    })
    .await
}

fn shown(item: &InboxItem, place: &Place, paint: Paint) -> String {
    let request = &item.request;
    // Names may be shared by requests of one play, and here not all of them are at hand.
    let by_name = place.answer_command(&item.play_sid, &request.name, request);
    let title = short(&ask::title(request), TITLE_CHARS_MAX);
    let (play, since) = (visible(&item.play_name), ago(request.asked_at, now()));
    let place_of_question = format!("{} of {play}, asked {since}", visible(&request.name));
    format!("{}\n  {}\n  {by_name}", paint.bold(&title), paint.dim(&place_of_question))
}
