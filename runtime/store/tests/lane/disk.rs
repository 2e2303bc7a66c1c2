//! A disk whose power is cut: what is certain, and what may be there besides.
//!
//! Certain is only what `fsync` or `fdatasync` covered; a name, only once its directory was synced.
//! Of the rest each write may be there, be missing, or be torn between sectors, whatever happened to
//! those around it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Random;
use super::trace::Act;

const SECTOR_BYTES: usize = 512;

/// What becomes of that which is not certain.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    /// All of it is gone.
    Drop,
    /// All of it is there: as after a kill.
    Keep,
    /// Each write and each name is there or not.
    Some,
    /// The same for each sector of a write.
    Torn,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] = [Self::Drop, Self::Keep, Self::Some, Self::Torn];

    fn keeps(self, random: &mut Random) -> bool {
        match self {
            Self::Drop => false,
            Self::Keep => true,
            Self::Some | Self::Torn => random.below(2) == 0,
        }
    }
}

/// A file, or a directory, which has no content.
#[derive(Clone, Default)]
struct Node {
    is_dir: bool,
    durable: Vec<u8>,
    /// What was done since, each with the number of the act.
    pending: Vec<(usize, Change)>,
    /// Where the next write without a place goes.
    position: u64,
}

#[derive(Clone)]
enum Change {
    Write { at: u64, bytes: Vec<u8> },
    SetLength(u64),
}

/// A change of names that is not certain yet.
struct NameChange {
    number: usize,
    /// Whose sync makes it certain.
    dir: PathBuf,
    gone: Option<PathBuf>,
    new: Option<(PathBuf, usize)>,
    /// Directories that took each other's place, with all that is in them.
    exchanged: Option<(PathBuf, PathBuf)>,
}

/// The disk, act by act.
pub(crate) struct Disk {
    nodes: Vec<Node>,
    /// What the process sees.
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    /// What was removed, and may still be written by whoever has it open.
    gone: BTreeMap<PathBuf, usize>,
    pending_names: Vec<NameChange>,
    n_acts: usize,
}

impl Disk {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        let root = Node { is_dir: true, ..Node::default() };
        let names = BTreeMap::from([(PathBuf::new(), 0)]);
        let durable_names = names.clone();
        let (gone, pending_names) = (BTreeMap::new(), Vec::new());
        Self { nodes: vec![root], names, durable_names, gone, pending_names, n_acts: 0 }
    }

    pub(crate) fn apply(&mut self, act: &Act) {
        match act {
            Act::Open { path, is_created, is_emptied } => {
                if *is_created && !self.names.contains_key(path) {
                    self.add(path, false);
                }
                self.node(path).position = 0;
                if *is_emptied {
                    self.change(path, Change::SetLength(0));
                }
            }
            Act::MakeDir { path } => self.add(path, true),
            Act::Write { path, at, bytes } => {
                let node = self.node(path);
                let at = at.unwrap_or(node.position);
                node.position = at + bytes.len() as u64;
                self.change(path, Change::Write { at, bytes: bytes.clone() });
            }
            Act::SetLength { path, length } => self.change(path, Change::SetLength(*length)),
            Act::Sync { path, n_before } => self.sync(path, *n_before),
            Act::Rename { from, to } => {
                let node = self.names.remove(from).expect("what is renamed is there");
                self.names.insert(to.clone(), node);
                self.rename(to, Some(from.clone()), Some((to.clone(), node)));
            }
            Act::Exchange { from, to } => {
                exchange(&mut self.names, from, to);
                self.rename(to, None, None);
                let change = self.pending_names.last_mut().expect("it was just added");
                change.exchanged = Some((from.clone(), to.clone()));
            }
            Act::Remove { path } => {
                let node = self.names.remove(path).expect("what is removed is there");
                self.gone.insert(path.clone(), node);
                self.rename(path, Some(path.clone()), None);
            }
            Act::Say(_) => {}
        }
        self.n_acts += 1;
    }

    /// Whether a power cut now could take anything.
    pub(crate) fn has_uncertain(&self) -> bool {
        let is_named = |node: usize| self.names.values().any(|named| *named == node);
        !self.pending_names.is_empty()
            || (0..self.nodes.len())
                .any(|node| !self.nodes[node].pending.is_empty() && is_named(node))
    }

    /// Writes what a power cut now might leave. Nothing of it is synced.
    pub(crate) fn write_image(&self, dir: &Path, mode: Mode, random: &mut Random) {
        let mut names = self.durable_names.clone();
        for change in &self.pending_names {
            if mode.keeps(random) {
                change.apply(&mut names);
            }
        }
        // In the order of their names, a directory comes before what is in it.
        for (name, node) in &names {
            let (path, node) = (dir.join(name), &self.nodes[*node]);
            let parent = path.parent().expect("it is not the root of all");
            if node.is_dir {
                // What lies in a directory without a name is out of reach.
                let _ = fs::create_dir(&path);
            } else if parent.is_dir() {
                fs::write(&path, node.content(mode, random)).expect("writable");
            }
        }
    }

    fn node(&mut self, path: &Path) -> &mut Node {
        let gone = self.gone.get(path);
        let node = self.names.get(path).or(gone);
        let node = node.unwrap_or_else(|| panic!("`{}` is not known", path.display()));
        &mut self.nodes[*node]
    }

    fn add(&mut self, path: &Path, is_dir: bool) {
        let node = self.nodes.len();
        self.nodes.push(Node { is_dir, ..Node::default() });
        self.names.insert(path.to_owned(), node);
        self.rename(path, None, Some((path.to_owned(), node)));
    }

    fn rename(&mut self, at: &Path, gone: Option<PathBuf>, new: Option<(PathBuf, usize)>) {
        let dir = at.parent().expect("the root is not renamed").to_owned();
        let number = self.n_acts;
        self.pending_names.push(NameChange { number, dir, gone, new, exchanged: None });
    }

    fn change(&mut self, path: &Path, change: Change) {
        let number = self.n_acts;
        self.node(path).pending.push((number, change));
    }

    fn sync(&mut self, path: &Path, n_before: usize) {
        let node = self.node(path);
        if !node.is_dir {
            let (certain, pending): (Vec<_>, _) = std::mem::take(&mut node.pending)
                .into_iter()
                .partition(|(number, _)| *number < n_before);
            node.pending = pending;
            for (_, change) in certain {
                change.apply(&mut node.durable);
            }
            return;
        }
        let is_covered = |change: &NameChange| change.dir == path && change.number < n_before;
        let (certain, pending) =
            std::mem::take(&mut self.pending_names).into_iter().partition(is_covered);
        self.pending_names = pending;
        let certain: Vec<NameChange> = certain;
        for change in certain {
            change.apply(&mut self.durable_names);
        }
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((path, node)) = &self.new {
            names.insert(path.clone(), *node);
        }
        if let Some((from, to)) = &self.exchanged {
            exchange(names, from, to);
        }
    }
}

/// Exchanges everything under two names.
fn exchange(names: &mut BTreeMap<PathBuf, usize>, from: &Path, to: &Path) {
    let moved = |path: &Path| {
        let under = |old: &Path, new: &Path| path.strip_prefix(old).ok().map(|rest| new.join(rest));
        under(from, to).or_else(|| under(to, from)).unwrap_or_else(|| path.to_owned())
    };
    // Joined with nothing, a path ends with a slash; collected from its parts, it does not.
    let moved = |path: PathBuf| moved(&path).components().collect::<PathBuf>();
    *names = std::mem::take(names).into_iter().map(|(path, node)| (moved(path), node)).collect();
}

impl Node {
    fn content(&self, mode: Mode, random: &mut Random) -> Vec<u8> {
        let mut content = self.durable.clone();
        for (_, change) in &self.pending {
            match (mode, change) {
                (Mode::Torn, Change::Write { at, bytes }) => {
                    for (at, sector) in sectors(*at, bytes) {
                        if random.below(2) == 0 {
                            Change::Write { at, bytes: sector.to_vec() }.apply(&mut content);
                        }
                    }
                }
                _ if mode.keeps(random) => change.apply(&mut content),
                _ => {}
            }
        }
        content
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, bytes } => {
                let at = *at as usize;
                content.resize(content.len().max(at + bytes.len()), 0);
                content[at..at + bytes.len()].copy_from_slice(bytes);
            }
            Self::SetLength(length) => content.resize(*length as usize, 0),
        }
    }
}

/// A write, sector by sector.
fn sectors(at: u64, bytes: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    let first_bytes = SECTOR_BYTES - at as usize % SECTOR_BYTES;
    let (first, rest) = bytes.split_at(first_bytes.min(bytes.len()));
    let parts = std::iter::once(first).chain(rest.chunks(SECTOR_BYTES));
    parts.scan(at, |at, part| {
        let this = *at;
        *at += part.len() as u64;
        Some((this, part))
    })
}
