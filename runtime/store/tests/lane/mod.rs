//! What the seeded lanes share: numbers from a seed, copies of directories, and the content that a
//! store is held against.
#![allow(dead_code, reason = "each test file takes what it needs")]

pub(crate) mod content;
pub(crate) mod disk;
pub(crate) mod trace;
pub(crate) mod writer;

use std::fs;
use std::path::{Path, PathBuf};

/// Numbers that look random, the same for the same seed (Steele et al., "Fast splittable
/// pseudorandom number generators", SplitMix64).
pub(crate) struct Random(u64);

impl Random {
    /// From `HERO_SEED`, or another seed each time. It is printed, to be given again.
    pub(crate) fn seeded() -> Self {
        let given = std::env::var("HERO_SEED").ok();
        let seed = match given {
            Some(text) => text.parse().expect("HERO_SEED is a number"),
            None => {
                u64::from(std::time::UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos()))
            }
        };
        eprintln!("HERO_SEED={seed}");
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below this one, which is not 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(crate) fn one_of<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }
}

/// How many rounds: few in every test run, many with `HERO_TORTURE=1`.
pub(crate) fn rounds(few: usize, many: usize) -> usize {
    if is_torture() { many } else { few }
}

pub(crate) fn is_torture() -> bool {
    std::env::var_os("HERO_TORTURE").is_some_and(|value| value == "1")
}

/// Damage makes sled panic, on its own threads too. The store catches that; it is not for the screen.
pub(crate) fn silence_sled() {
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let is_in_sled = panic.location().is_some_and(|place| place.file().contains("/sled-"));
        if !is_in_sled {
            others(panic);
        }
    }));
}

pub(crate) fn files_under(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.expect("listable").path();
        if path.is_dir() { files.extend(files_under(&path)) } else { files.push(path) }
    }
    files.sort();
    files
}

pub(crate) fn copy(from: &Path, to: &Path) {
    for file in files_under(from) {
        let target = to.join(file.strip_prefix(from).expect("it is under it"));
        fs::create_dir_all(target.parent().expect("it has a directory")).expect("writable");
        fs::copy(file, target).expect("copyable");
    }
}
