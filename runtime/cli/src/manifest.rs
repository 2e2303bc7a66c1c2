//! `service.toml`, and `--info`, which prints it.

use std::ffi::OsString;
use std::io::Write;

use hero_schema::exit;
use hero_schema::service::ServiceManifest;

const SERVICE_TOML: &str = include_str!("../service.toml");

/// Whether `--info` is among the arguments: looked for before they are parsed, so that it works
/// whatever the others are. Behind `--` it is a plain word.
pub(crate) fn is_asked_for(arguments: &[OsString]) -> bool {
    arguments.iter().skip(1).take_while(|word| *word != "--").any(|word| word == "--info")
}

/// Prints the manifest as it stands in the source and returns the exit code.
pub(crate) fn print() -> i32 {
    let _: ServiceManifest =
        toml::from_str(SERVICE_TOML).expect("a test holds service.toml to its type");
    // Standard output that has been closed is no reason to fail.
    let _ = std::io::stdout().write_all(SERVICE_TOML.as_bytes());
    exit::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_reads_and_names_this_program() {
        let manifest: ServiceManifest = toml::from_str(SERVICE_TOML).expect("reads");
        assert_eq!(manifest.service.name, env!("CARGO_PKG_NAME"));
    }

    #[test]
    fn info_is_found_among_bad_arguments_and_not_behind_two_dashes() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(is_asked_for(&words("hero_logic --no-such-flag --info")));
        assert!(!is_asked_for(&words("hero_logic run -- --info")));
        assert!(!is_asked_for(&words("--info")), "the program's own name");
    }
}
