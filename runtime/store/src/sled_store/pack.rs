//! A pack: one file that holds pairs in order, packed, and never changes.
//!
//! Sled takes several times the bytes of what it holds, keeps a part of every page in memory, and is
//! read from end to end when it is opened. So it holds only what was written lately; the rest stands
//! in a pack, which [`super::compaction`] writes anew from time to time.
//!
//! | part | is |
//! |---|---|
//! | head | [`MAGIC`] and the number of the pack |
//! | block, many | its length, its CRC-32 with its place, then pairs in order, compressed |
//! | index | of each block: a key that is not behind its first one, where it stands, how long it is |
//! | foot | what the pack comes to, where the index stands, and the CRC-32 of both |
//!
//! Numbers are big-endian. The foot is read when a pack is opened, a block when a key of it is.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::blobs::sync_dir;
use super::io_error;
use crate::Error;

const MAGIC: &[u8; 8] = b"HEROPACK";
const HEAD_BYTES: usize = 16;
const FOOT_BYTES: usize = 44;
/// Length and checksum in front of a block.
const FRAME_BYTES: usize = 8;

/// A block is closed once its pairs take so many bytes: more compress better, fewer read faster.
const BLOCK_BYTES: usize = 16 << 10;

/// No block is longer: the largest pairs are some kilobytes.
const BLOCK_BYTES_MAX: usize = 16 << 20;

/// How many blocks are kept in memory.
const BLOCKS_KEPT: usize = 64;

/// After so many bytes what was written is made durable, so that the last sync is not a long one: others
/// wait for the disk too.
const SYNC_BYTES: u64 = 4 << 20;

/// A pair, as sled holds it.
pub(super) type PackedPair = (Vec<u8>, Vec<u8>);

/// What a pack comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) n_pairs: u64,
    /// What the pairs take unpacked.
    pub(super) n_bytes: u64,
    /// The sum over all pairs that [`super::sums`] takes.
    pub(super) total: u64,
}

/// A pack that is being read.
pub(super) struct Pack {
    pub(super) number: u64,
    pub(super) extent: Extent,
    pub(super) file_bytes: u64,
    path: PathBuf,
    file: File,
    index: Vec<Place>,
    kept: Mutex<VecDeque<(usize, Arc<Block>)>>,
}

/// Where a block stands.
struct Place {
    /// Behind every key of the block before, and not behind the first one of this.
    from: Box<[u8]>,
    at: u64,
    n_bytes: u32,
}

/// The file of a pack.
pub(super) fn path_of(dir: &Path, number: u64) -> PathBuf {
    dir.join(number.to_string())
}

/// The number of the pack that has this file; None for any other file.
pub(super) fn number_of(path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.parse().ok()
}

impl Pack {
    /// Opens a pack of a directory.
    pub(super) fn open(dir: &Path, number: u64) -> Result<Self, Error> {
        let path = path_of(dir, number);
        let damaged = |reason: &str| damaged(number, reason);
        let file = match File::open(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(damaged("its file is missing"));
            }
            opened => opened.map_err(io_error("open", &path))?,
        };
        let file_bytes = file.metadata().map_err(io_error("read", &path))?.len();
        let Some(foot_at) = file_bytes.checked_sub(FOOT_BYTES as u64) else {
            return Err(damaged("it is cut off"));
        };
        let foot = read_at(&file, &path, foot_at, FOOT_BYTES)?;
        let Some(index_at) = number_at(&foot, 0).filter(|at| *at <= foot_at) else {
            return Err(damaged("its foot does not read"));
        };
        let mut end = read_at(&file, &path, index_at, (file_bytes - index_at) as usize)?;
        let checksum = end.split_off(end.len() - 4);
        if crc32fast::hash(&end).to_be_bytes() != *checksum {
            return Err(damaged("its index does not read"));
        }
        let fields: Vec<_> = (0..5).filter_map(|index| number_at(&foot, index)).collect();
        let [_, n_pairs, n_bytes, total, found] = fields[..] else {
            return Err(damaged("its foot does not read"));
        };
        if found != number {
            return Err(damaged("it is another one"));
        }
        let index = read_index(&end[..end.len() + 4 - FOOT_BYTES])
            .ok_or_else(|| damaged("its index does not read"))?;
        let extent = Extent { n_pairs, n_bytes, total };
        Ok(Self { number, extent, file_bytes, path, file, index, kept: Mutex::default() })
    }

    /// The value of a key, as sled would hold it.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        let Some(number) = self.block_of(key) else { return Ok(None) };
        let block = self.block(number)?;
        Ok(block
            .pairs()
            .find(|(found, _)| *found >= key)
            .and_then(|(found, value)| (found == key).then(|| value.to_vec())))
    }

    /// The pairs of a range of keys, in order. It ends behind an error.
    pub(super) fn range(
        &self,
        keys: Range<Vec<u8>>,
    ) -> impl Iterator<Item = Result<PackedPair, Error>> + use<'_> {
        let first = self.block_of(&keys.start).unwrap_or(0);
        let last = self.index.partition_point(|place| *place.from < *keys.end);
        (first..last.max(first)).flat_map(move |number| {
            let (pairs, error) = match self.block(number) {
                Ok(block) => {
                    let pairs = block.pairs().filter(|(key, _)| {
                        *key >= keys.start.as_slice() && *key < keys.end.as_slice()
                    });
                    let own = |(key, value): (&[u8], &[u8])| (key.to_vec(), value.to_vec());
                    (pairs.map(own).collect::<Vec<_>>(), None)
                }
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            pairs.into_iter().map(Ok).chain(error)
        })
    }

    /// Reads all blocks that hold keys of a range.
    pub(super) fn check(&self, keys: &Range<Vec<u8>>) -> Result<(), Error> {
        let first = self.block_of(&keys.start).unwrap_or(0);
        let last = self.index.partition_point(|place| *place.from < *keys.end);
        (first..last).try_for_each(|number| self.read_block(number).map(drop))
    }

    /// The only block that may hold a key.
    fn block_of(&self, key: &[u8]) -> Option<usize> {
        self.index.partition_point(|place| *place.from <= *key).checked_sub(1)
    }

    fn block(&self, number: usize) -> Result<Arc<Block>, Error> {
        let kept = || self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let mut blocks = kept();
        if let Some(at) = blocks.iter().position(|(kept, _)| *kept == number) {
            let found = blocks.remove(at).expect("it was found there");
            let block = found.1.clone();
            blocks.push_back(found);
            return Ok(block);
        }
        drop(blocks);
        let block = Arc::new(self.read_block(number)?);
        let mut blocks = kept();
        blocks.push_back((number, block.clone()));
        if blocks.len() > BLOCKS_KEPT {
            blocks.pop_front();
        }
        Ok(block)
    }

    fn read_block(&self, number: usize) -> Result<Block, Error> {
        let place = &self.index[number];
        let bytes = read_at(&self.file, &self.path, place.at, place.n_bytes as usize)?;
        Block::of(&bytes, place.at).ok_or_else(|| {
            damaged(self.number, format!("its block at byte {} does not read", place.at))
        })
    }
}

/// What can be read of a pack.
#[derive(Default)]
pub(super) struct Salvage {
    pub(super) pairs: Vec<PackedPair>,
    /// Keys that may have been there and are lost.
    pub(super) lost: Vec<Range<Vec<u8>>>,
}

/// Reads what can be read of a pack, whatever happened to it.
///
/// # Errors
/// [`Error::Io`].
pub(super) fn salvage(dir: &Path, number: u64) -> Result<Salvage, Error> {
    match Pack::open(dir, number) {
        Ok(pack) => salvage_blocks(&pack),
        Err(Error::Damaged { .. }) => salvage_file(&path_of(dir, number)),
        Err(other) => Err(other),
    }
}

fn salvage_blocks(pack: &Pack) -> Result<Salvage, Error> {
    let mut salvage = Salvage::default();
    for (number, place) in pack.index.iter().enumerate() {
        match pack.read_block(number) {
            Ok(block) => salvage.keep(&block),
            Err(Error::Damaged { .. }) => {
                let next = pack.index.get(number + 1);
                let end = next.map_or_else(behind_all, |next| next.from.to_vec());
                salvage.lost.push(place.from.to_vec()..end);
            }
            Err(other) => return Err(other),
        }
    }
    Ok(salvage)
}

/// Without an index: the blocks from the first one on, up to one that does not read.
fn salvage_file(path: &Path) -> Result<Salvage, Error> {
    let mut salvage = Salvage::default();
    let content = match fs::read(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        read => read.map_err(io_error("read", path))?,
    };
    let mut rest = content.get(HEAD_BYTES..).unwrap_or_default();
    while let Some((_, behind)) = split_frame(rest) {
        let frame = &rest[..rest.len() - behind.len()];
        let at = (content.len() - rest.len()) as u64;
        let Some(block) = Block::of(frame, at) else { break };
        salvage.keep(&block);
        rest = behind;
    }
    let from = salvage.pairs.last().map_or_else(Vec::new, |(last, _)| last.clone());
    salvage.lost.push(from..behind_all());
    Ok(salvage)
}

impl Salvage {
    fn keep(&mut self, block: &Block) {
        self.pairs.extend(block.pairs().map(|(key, value)| (key.to_vec(), value.to_vec())));
    }
}

/// Every key begins with a letter.
fn behind_all() -> Vec<u8> {
    vec![u8::MAX]
}

/// Reads; what is behind the end of the file is not there.
fn read_at(file: &File, path: &Path, at: u64, n_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; n_bytes];
    let mut n_read = 0;
    while n_read < n_bytes {
        match file.read_at(&mut bytes[n_read..], at + n_read as u64) {
            Ok(0) => break,
            Ok(n) => n_read += n,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(io_error("read", path)(error)),
        }
    }
    bytes.truncate(n_read);
    Ok(bytes)
}

fn damaged(number: u64, reason: impl Into<String>) -> Error {
    Error::Damaged { record: format!("pack {number}"), reason: reason.into() }
}

fn number_at(foot: &[u8], index: usize) -> Option<u64> {
    let (bytes, _) = foot.get(index * 8..)?.split_first_chunk()?;
    Some(u64::from_be_bytes(*bytes))
}

fn read_index(mut bytes: &[u8]) -> Option<Vec<Place>> {
    let mut index = Vec::new();
    while !bytes.is_empty() {
        let (at, rest) = bytes.split_first_chunk()?;
        let (n_bytes, rest) = take_length(rest)?;
        let (from, rest) = take(rest)?;
        let n_bytes = u32::try_from(n_bytes).ok()?;
        index.push(Place { from: from.into(), at: u64::from_be_bytes(*at), n_bytes });
        bytes = rest;
    }
    Some(index)
}

fn take_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*length) as usize, rest))
}

/// A length and so many bytes.
fn take(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take_length(bytes)?;
    rest.split_at_checked(length)
}

fn put(bytes: &mut Vec<u8>, part: &[u8]) {
    bytes.extend((part.len() as u32).to_be_bytes());
    bytes.extend(part);
}

/// Pairs that are read together: key, value, key, value.
struct Block(Vec<u8>);

impl Block {
    /// Unpacks a block; None where it is not what was written at this place.
    fn of(frame: &[u8], at: u64) -> Option<Self> {
        let (packed, rest) = split_frame(frame)?;
        if !rest.is_empty() || checksum(at, packed).to_be_bytes() != frame[4..FRAME_BYTES] {
            return None;
        }
        let (n_bytes, packed) = take_length(packed)?;
        if n_bytes > BLOCK_BYTES_MAX {
            return None;
        }
        lz4_flex::block::decompress(packed, n_bytes).ok().map(Self)
    }

    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.0.as_slice();
        std::iter::from_fn(move || {
            let (key, behind) = take(rest)?;
            let (value, behind) = take(behind)?;
            rest = behind;
            Some((key, value))
        })
    }
}

/// What is in the first frame of these bytes, and what is behind it.
fn split_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = take_length(bytes)?;
    rest.get(4..)?.split_at_checked(length)
}

/// The place is covered too, so that a block which stands in the place of another is noticed.
fn checksum(at: u64, packed: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&at.to_be_bytes());
    hasher.update(packed);
    hasher.finalize()
}

/// A pack that is being written, under another name until it is whole.
pub(super) struct PackWriter {
    dir: PathBuf,
    number: u64,
    unfinished: PathBuf,
    file: BufWriter<File>,
    at: u64,
    synced_to: u64,
    block: Vec<u8>,
    /// The first key of the block.
    first: Vec<u8>,
    /// The last key that was added.
    last: Vec<u8>,
    /// The last key of the block before.
    before: Vec<u8>,
    index: Vec<u8>,
    extent: Extent,
}

impl PackWriter {
    /// Begins a pack in a directory.
    pub(super) fn create(dir: &Path, number: u64) -> Result<Self, Error> {
        let unfinished = path_of(dir, number).with_extension("unfinished");
        let file = File::create(&unfinished).map_err(io_error("create", &unfinished))?;
        let mut writer = Self {
            dir: dir.to_owned(),
            number,
            unfinished,
            file: BufWriter::with_capacity(64 << 10, file),
            at: 0,
            synced_to: 0,
            block: Vec::new(),
            first: Vec::new(),
            last: Vec::new(),
            before: Vec::new(),
            index: Vec::new(),
            extent: Extent::default(),
        };
        writer.write(&[MAGIC.as_slice(), &number.to_be_bytes()].concat())?;
        Ok(writer)
    }

    /// Adds a pair, behind all that were added before; `share` is what it adds to the total.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8], share: u64) -> Result<(), Error> {
        let n_bytes = key.len() + value.len();
        if !self.block.is_empty() && self.block.len() + n_bytes > BLOCK_BYTES {
            self.end_block()?;
        }
        if self.block.is_empty() {
            self.first = key.to_vec();
        }
        put(&mut self.block, key);
        put(&mut self.block, value);
        self.last = key.to_vec();
        self.extent.n_pairs += 1;
        self.extent.n_bytes += n_bytes as u64;
        self.extent.total = self.extent.total.wrapping_add(share);
        if self.block.len() > BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> Result<(), Error> {
        if self.block.is_empty() {
            return Ok(());
        }
        let raw = std::mem::take(&mut self.block);
        let mut packed = (raw.len() as u32).to_be_bytes().to_vec();
        packed.extend(lz4_flex::block::compress(&raw));
        let mut frame = (packed.len() as u32).to_be_bytes().to_vec();
        frame.extend(checksum(self.at, &packed).to_be_bytes());
        frame.extend(packed);
        self.index.extend(self.at.to_be_bytes());
        self.index.extend((frame.len() as u32).to_be_bytes());
        put(&mut self.index, between(&self.before, &self.first));
        self.before.clone_from(&self.last);
        self.write(&frame)?;
        if self.at - self.synced_to > SYNC_BYTES {
            self.sync()?;
        }
        Ok(())
    }

    /// Makes the pack durable and gives it its name.
    pub(super) fn finish(mut self) -> Result<(), Error> {
        self.end_block()?;
        let index_at = self.at;
        let Extent { n_pairs, n_bytes, total } = self.extent;
        let mut end = std::mem::take(&mut self.index);
        for field in [index_at, n_pairs, n_bytes, total, self.number] {
            end.extend(field.to_be_bytes());
        }
        end.extend(crc32fast::hash(&end).to_be_bytes());
        self.write(&end)?;
        self.sync()?;
        let path = path_of(&self.dir, self.number);
        fs::rename(&self.unfinished, &path).map_err(io_error("rename", &self.unfinished))?;
        sync_dir(&self.dir)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.at += bytes.len() as u64;
        self.file.write_all(bytes).map_err(io_error("write", &self.unfinished))
    }

    fn sync(&mut self) -> Result<(), Error> {
        self.synced_to = self.at;
        let synced = self.file.flush().and_then(|()| self.file.get_ref().sync_all());
        synced.map_err(io_error("sync", &self.unfinished))
    }
}

/// The shortest key that is behind `before` and not behind `key`.
fn between<'a>(before: &[u8], key: &'a [u8]) -> &'a [u8] {
    let n_same = before.iter().zip(key).take_while(|(a, b)| a == b).count();
    &key[..(n_same + 1).min(key.len())]
}
