//! The URLs that other systems post to, and what becomes of what they post.

use std::path::PathBuf;

use hero_core::Refusal;
use hero_core::callback::{Claims, outcome_of, sign, verify};
use hero_schema::rpc::{CALLBACK_PATH, CallbackBody, CallbackNoop};
use hero_schema::{Answerer, PlaySid, ResumeId, ResumeRequest, Timestamp};

use crate::Error;
use crate::keys::KeyFile;
use crate::supervisor::{Settings, Supervisor};

/// Where the web UI listens when it does not say.
const ADMIN_URL: &str = "http://127.0.0.1:8899";

/// Makes the URLs of callbacks, and knows its own again.
pub(crate) struct Callbacks {
    keys: KeyFile,
    public_url: Option<String>,
    admin_url_file: PathBuf,
}

impl Callbacks {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self {
            keys: KeyFile::at(settings.callback_keys.clone()),
            public_url: settings.public_url.clone(),
            admin_url_file: settings.admin_url_file.clone(),
        }
    }

    /// The URL of a request.
    pub(crate) fn url(
        &self,
        play: &PlaySid,
        request: &ResumeId,
        expires_at: Option<Timestamp>,
    ) -> Result<String, Error> {
        let claims = Claims { play: play.clone(), request: request.clone(), expires_at };
        let token = sign(&self.keys.current()?, &claims);
        Ok(format!("{}{CALLBACK_PATH}{token}", self.base()))
    }

    fn base(&self) -> String {
        let public = self.public_url.as_deref().map(|url| url.trim_end_matches('/').to_owned());
        public.or_else(|| self.admin_url()).unwrap_or_else(|| ADMIN_URL.into())
    }

    fn admin_url(&self) -> Option<String> {
        let login = std::fs::read_to_string(&self.admin_url_file).ok()?;
        login.split_once("/login").map(|(base, _)| base.to_owned())
    }
}

/// What became of what was posted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It is the answer, since this moment.
    Taken(Timestamp),
    /// It has changed nothing.
    TooLate(CallbackNoop),
}

impl Supervisor {
    /// Answers a request by what was posted to its URL.
    ///
    /// # Errors
    /// [`Error::NoSuchCallback`]: the URL is none of ours, or its play was removed. The data does not fit
    /// the schema of the request; then it can be posted again.
    pub async fn callback_posted(&self, token: &str, body: &CallbackBody) -> Result<Posted, Error> {
        let keys = self.shared.callbacks.keys.all()?;
        let claims = verify(&keys, token).ok_or(Error::NoSuchCallback)?;
        let request = match self.request_or_noop(&claims).await? {
            Ok(request) => request,
            Err(noop) => return Ok(Posted::TooLate(noop)),
        };
        let by = Answerer::Callback { task_id: body.task_id.clone() };
        let outcome = outcome_of(body, &request.name);
        let refused = match self.answer_with(&claims.play, &claims.request, outcome, by).await {
            Ok(answered) if !answered.already => return Ok(Posted::Taken(answered.resumed_at)),
            Ok(_) => return Ok(Posted::TooLate(CallbackNoop::Answered)),
            Err(error @ Error::Refused(Refusal::Conflict { .. } | Refusal::Ended { .. })) => error,
            Err(error) => return Err(error),
        };
        // Someone was quicker.
        match self.request_or_noop(&claims).await? {
            Err(noop) => Ok(Posted::TooLate(noop)),
            Ok(_) => Err(refused),
        }
    }

    /// The request, where it can still be answered.
    async fn request_or_noop(
        &self,
        claims: &Claims,
    ) -> Result<Result<ResumeRequest, CallbackNoop>, Error> {
        let store = &self.shared.store;
        let play = store.play(&claims.play).await?.ok_or(Error::NoSuchCallback)?;
        let request = store.request(&claims.play, &claims.request).await?;
        let request = request.ok_or(Error::NoSuchCallback)?;
        let is_over = claims.expires_at.is_some_and(|at| at <= store.now());
        let noop = match &request.answer {
            Some(answer) if answer.resumed_by == Answerer::Timer => CallbackNoop::Expired,
            Some(_) => CallbackNoop::Answered,
            None if play.status.is_ended() => CallbackNoop::PlayEnded,
            None if is_over => CallbackNoop::Expired,
            None => return Ok(Ok(request)),
        };
        Ok(Err(noop))
    }
}
