//! Which build this is: the three programs are built together and tell it in the same words.

use std::sync::OnceLock;

/// The number that the builder gave, if any.
const BUILD_NR: Option<&str> = option_env!("HERO_BUILD_NR");

/// Version and build, as `0.1.0` or `0.1.0 build 7`.
pub fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| told(BUILD_NR))
}

fn told(build: Option<&str>) -> String {
    let build = build.map_or(String::new(), |number| format!(" build {number}"));
    format!("{}{build}", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_the_build_stands_behind_the_version() {
        assert_eq!(told(Some("7")), format!("{} build 7", env!("CARGO_PKG_VERSION")));
        assert_eq!(told(None), env!("CARGO_PKG_VERSION"));
    }
}
