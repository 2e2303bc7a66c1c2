//! The signed URLs of callbacks, and what is posted to them.
//!
//! The last part of such a URL is a token: `<key id>.<play>.<request>.<expires at>.<signature>`. The
//! signature is an HMAC-SHA256 over every field, over what may be done with it ([`ACTION`]) and where
//! ([`AUDIENCE`]); so a token allows one answer to one request, and nothing else. That it is used once only
//! is seen to by the request, which takes one answer.

use hero_schema::rpc::CallbackBody;
use hero_schema::{Json, Outcome, PlaySid, Raised, ResumeId, Timestamp};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// What the holder of a token may do.
const ACTION: &str = "answer";

/// Who takes it.
const AUDIENCE: &str = "callbacks";

/// Keeps what is signed here apart from what is signed with the same key elsewhere.
const DOMAIN: &str = "hero callback 1";

/// What separates the fields of a token: none of them holds one.
const SEPARATOR: char = '.';

/// The moment of what never expires.
const NEVER: &str = "0";

/// A secret to sign with, and its name.
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    /// What tokens call it.
    pub id: String,
    /// What nobody else knows.
    pub secret: String,
}

/// What a token allows: to answer this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The play.
    pub play: PlaySid,
    /// The request.
    pub request: ResumeId,
    /// From when on it is void; None never is.
    pub expires_at: Option<Timestamp>,
}

/// The token for a request.
pub fn sign(key: &Key, claims: &Claims) -> String {
    let expires_at = expiry_text(claims.expires_at);
    let signature = hex(&mac(key, claims, &expires_at).finalize().into_bytes());
    let fields = [&key.id, claims.play.as_str(), claims.request.as_str(), &expires_at, &signature];
    fields.join(&SEPARATOR.to_string())
}

/// What a token allows; None where it was not signed with one of the keys, down to its last bit.
///
/// The time that this takes does not tell how much of a signature is right.
pub fn verify(keys: &[Key], token: &str) -> Option<Claims> {
    let fields: Vec<&str> = token.split(SEPARATOR).collect();
    let [key_id, play, request, expires_at, signature] = fields[..] else { return None };
    let key = keys.iter().find(|key| key.id == key_id)?;
    let at = match expires_at {
        NEVER => None,
        text => Some(Timestamp(text.parse().ok()?)),
    };
    let claims =
        Claims { play: PlaySid::new(play), request: ResumeId::new(request), expires_at: at };
    // As it was spelled: a number has several spellings, and only one was signed.
    mac(key, &claims, expires_at).verify_slice(&unhex(signature)?).ok()?;
    Some(claims)
}

fn mac(key: &Key, claims: &Claims, expires_at: &str) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).expect("a key may have any length");
    let fields = [DOMAIN, ACTION, AUDIENCE, &key.id, claims.play.as_str(), claims.request.as_str()];
    for field in fields.into_iter().chain([expires_at]) {
        // With its length, so that no field reaches into its neighbour.
        mac.update(&(field.len() as u64).to_be_bytes());
        mac.update(field.as_bytes());
    }
    mac
}

/// The signature of a final callback: HMAC-SHA256 over `<seconds>.<body>`, in hex.
pub fn sign_body(key: &Key, seconds: i64, body: &str) -> String {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.secret.as_bytes()).expect("a key may have any length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    hex(&mac.finalize().into_bytes())
}

fn expiry_text(at: Option<Timestamp>) -> String {
    at.map_or(NEVER.into(), |at| at.0.to_string())
}

/// Bytes as lower-case hex.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads lower-case hex, and no other: each signature has one spelling.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let digits = text.as_bytes().iter().map(digit).collect::<Option<Vec<u8>>>()?;
    (digits.len() % 2 == 0).then(|| digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

/// What a posted body makes of the callback: it returns the data, or raises `CallbackFailed`.
pub fn outcome_of(body: &CallbackBody, name: &str) -> Outcome {
    if body.success {
        return Outcome::Returned(body.data.clone().unwrap_or_else(Json::null));
    }
    let error = body.error.clone().unwrap_or_else(Json::null);
    let said = match error.read::<Option<String>>() {
        Ok(Some(text)) if !text.is_empty() => format!(": {text}"),
        Ok(_) => String::new(),
        Err(_) => format!(": {error}"),
    };
    let task_id = Json::of(&body.task_id).expect("text has a JSON form");
    let message = format!("callback `{name}` failed{said}");
    let further = [("error", error), ("task_id", task_id)];
    Outcome::Raised(Raised::by_the_runtime("CallbackFailed", message, &further))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> Key {
        Key { id: id.into(), secret: format!("the secret of {id}") }
    }

    fn claims(expires_at: Option<i64>) -> Claims {
        Claims {
            play: PlaySid::new("01jq8z0000000000000000000a"),
            request: ResumeId::new("a97c28a8b2309ab751cff9c2973332d60ed0bbca"),
            expires_at: expires_at.map(Timestamp),
        }
    }

    #[test]
    fn a_token_says_what_was_signed_and_keys_may_follow_each_other() {
        let keys = [key("new"), key("old")];
        for claims in [claims(None), claims(Some(1_700_000_000_000_000)), claims(Some(-1))] {
            for key in &keys {
                assert_eq!(verify(&keys, &sign(key, &claims)).as_ref(), Some(&claims));
            }
            assert_eq!(verify(&keys[..1], &sign(&keys[1], &claims)), None, "its key is gone");
        }
    }

    #[test]
    fn every_flipped_bit_and_every_cut_voids_a_token() {
        let keys = [key("ab12cd34")];
        let token = sign(&keys[0], &claims(Some(1_700_000_000_000_000)));
        assert!(token.len() > 150);
        for bit in 0..token.len() * 8 {
            let mut bytes = token.clone().into_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let flipped = String::from_utf8_lossy(&bytes);
            assert_eq!(verify(&keys, &flipped), None, "{flipped}");
        }
        for length in 0..token.len() {
            assert_eq!(verify(&keys, &token[..length]), None);
            assert_eq!(verify(&keys, &format!("{token}{}", &token[length..])), None);
        }
    }

    #[test]
    fn a_token_is_worth_nothing_for_another_request_play_moment_or_key() {
        let keys = [key("k1"), key("k2")];
        let token = sign(&keys[0], &claims(Some(5)));
        let signature = token.rsplit('.').next().expect("it has one");
        let others = [
            Claims { play: PlaySid::new("01jq8z0000000000000000000b"), ..claims(Some(5)) },
            Claims { request: ResumeId::new("other"), ..claims(Some(5)) },
            claims(Some(6)),
            claims(None),
        ];
        for other in others {
            let forged = sign(&keys[0], &other);
            let (fields, _) = forged.rsplit_once('.').expect("fields");
            assert_eq!(verify(&keys, &format!("{fields}.{signature}")), None);
        }
        assert_eq!(verify(&keys, &token.replacen("k1", "k2", 1)), None);
        let respelled = token.replacen(".5.", ".05.", 1);
        assert_ne!(respelled, token);
        assert_eq!(verify(&keys, &respelled), None, "the moment, spelled otherwise");
    }

    #[test]
    fn a_body_returns_its_data_or_raises_with_what_went_wrong() {
        let body = |text: &str| serde_json::from_str::<CallbackBody>(text).expect("a body");
        let returned = |text: &str| outcome_of(&body(text), "paid");
        assert_eq!(returned(r#"{"success":true}"#), Outcome::Returned(Json::null()));
        let data = r#"{"n": 12345678901234567890123,  "x":1.0}"#;
        let told = returned(&format!(r#"{{"success":true,"data":{data}}}"#));
        let Outcome::Returned(json) = told else { panic!("it returns") };
        assert_eq!(json.text(), data);
        for (error, message) in [
            (r#","error":"no money""#, "callback `paid` failed: no money"),
            (r#","error":{"code":7}"#, "callback `paid` failed: {\"code\":7}"),
            ("", "callback `paid` failed"),
        ] {
            let told = returned(&format!(r#"{{"success":false,"task_id":"t"{error}}}"#));
            let Outcome::Raised(raised) = told else { panic!("it raises") };
            assert_eq!(
                (raised.class.as_str(), raised.message.as_str()),
                ("pyhero:CallbackFailed", message)
            );
            assert!(raised.args.expect("it can be rebuilt").text().contains(r#""task_id":"t""#));
        }
    }
}
