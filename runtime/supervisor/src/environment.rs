//! What a launch sees of the supervisor's environment: the allow-list, and what its flow declares
//! and the operator permits. Values are handed over and stored nowhere.

use std::env;
use std::ffi::OsString;

use hero_schema::env::{INHERITED, PERMIT_ENV};

/// The allow-list, as far as it is set.
fn inherited() -> impl Iterator<Item = (&'static str, OsString)> {
    INHERITED.into_iter().filter_map(|name| env::var_os(name).map(|value| (name, value)))
}

/// What every interpreter that is started here sees.
pub(crate) fn of_interpreters() -> impl Iterator<Item = (OsString, OsString)> {
    // Else a file in the working directory could pass itself off as a module of `pyhero`.
    let own_path = ("PYTHONSAFEPATH".into(), "1".into());
    inherited().map(|(name, value)| (name.into(), value)).chain([own_path])
}

/// What a flow asked for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Declared {
    /// What it gets.
    pub(crate) granted: Vec<(String, OsString)>,
    /// Why it does not get the rest, a sentence for each.
    pub(crate) withheld: Vec<String>,
}

/// Looks up the variables that a flow declares.
pub(crate) fn declared(names: &[String]) -> Declared {
    let permitted = env::var(PERMIT_ENV).unwrap_or_default();
    look_up(names, &permitted, |name| env::var_os(name))
}

fn look_up(
    names: &[String],
    permitted: &str,
    value: impl Fn(&str) -> Option<OsString>,
) -> Declared {
    let mut declared = Declared::default();
    for name in names {
        if !permitted.split(',').any(|permitted| permitted.trim() == name) {
            declared.withheld.push(format!(
                "the flow asks for the variable `{name}`, which this server does not permit; \
                 hint: start the server with {PERMIT_ENV}={name} (names with commas between them)"
            ));
            continue;
        }
        match value(name) {
            Some(value) => declared.granted.push((name.clone(), value)),
            None => declared.withheld.push(format!(
                "the flow asks for the variable `{name}`, which is not set; \
                 hint: set it in the environment of the server"
            )),
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_gets_what_it_declares_and_the_operator_permits_and_is_set() {
        let names = ["TOKEN", "SECRET", "UNSET", "TOK"].map(str::to_owned);
        let value = |name: &str| (name != "UNSET").then(|| format!("value of {name}").into());
        let Declared { granted, withheld } = look_up(&names, "TOKEN, UNSET,", value);
        assert_eq!(granted, [("TOKEN".to_owned(), "value of TOKEN".into())]);
        let [secret, unset, tok] = &withheld[..] else { panic!("three: {withheld:?}") };
        assert!(secret.contains("`SECRET`") && secret.contains("HERO_PERMIT_ENV=SECRET"));
        assert!(unset.contains("`UNSET`, which is not set"));
        assert!(tok.contains("`TOK`"));
        assert_eq!(look_up(&[], "TOKEN", value), Declared::default());
    }
}
