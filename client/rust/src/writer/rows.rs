//! Points in columns, as they are logged, up to immutable batches.
//!
//! The rows of one set of keys (a *shape*) lie together, and a call costs a comparison of its keys
//! with those of the shape that came after the last one before. No key is copied, and nothing is
//! allocated but the columns.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, VecDeque, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};

use super::limits::{MAX_KEY_BYTES, check_text, long_key};
use crate::v1::{Frame, MetricBatch, Rejection, SeriesName};

/// Rows with more are several: a frame is dense, and must fit a batch with its names.
const MAX_ROW_KEYS: usize = 1000;
const MAX_ROW_NAME_BYTES: usize = 128 << 10;
/// So many shapes are remembered: who logs another set of keys each time keeps no memory of them.
const MAX_SHAPES: usize = 10_000;
/// Of a batch and of a frame, beside their columns.
const BATCH_BYTES: usize = 128;
const FRAME_BYTES: usize = 32;
const ID_BYTES: usize = 5;
const NAME_BYTES: usize = 12;

/// What has a sequence, and does not change any more.
pub(super) struct Batch {
    pub message: MetricBatch,
    /// Ids of the series that it uses.
    pub uses: Vec<u32>,
    pub points: u64,
    pub size_bytes: usize,
}

#[derive(Default)]
pub(super) struct Rows {
    shapes: Vec<Shape>,
    by_keys: HashMap<u64, Vec<usize>>,
    ids: HashMap<Box<str>, u32>,
    last: usize,
    /// Shapes that have rows.
    active: Vec<usize>,
    new_names: Vec<SeriesName>,
    params: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    points: u64,
    size_bytes: usize,
    /// Of a batch without its overhead.
    max_batch_bytes: usize,
    /// What was not taken, for whoever tells it.
    pub refused: Vec<Rejection>,
    /// Of the last batch that was sealed.
    pub sequence: i64,
    pub sealed: VecDeque<Batch>,
}

struct Shape {
    /// In the order in which they first came.
    keys: Vec<Box<str>>,
    /// Places in `keys`, by key.
    sorted: Vec<usize>,
    ids: Vec<u32>,
    /// Of all keys.
    name_bytes: usize,
    /// The shape that came after this one.
    next: usize,
    steps: Vec<i64>,
    times: Vec<i64>,
    values: Vec<f64>,
}

impl Shape {
    fn row_bytes(&self) -> usize {
        row_bytes(self.keys.len())
    }

    fn frame_bytes(&self) -> usize {
        frame_bytes(self.keys.len(), self.name_bytes)
    }

    /// Whether a row that begins with these keys may go on in another shape.
    fn is_full(&self) -> bool {
        is_full(self.keys.len(), self.name_bytes)
    }
}

fn row_bytes(keys: usize) -> usize {
    16 + 8 * keys
}

/// With the names, in every batch: another call, on which a batch may come to be sent, has to be told
/// of them again.
fn frame_bytes(keys: usize, name_bytes: usize) -> usize {
    FRAME_BYTES + (ID_BYTES + NAME_BYTES) * keys + name_bytes
}

fn is_full(keys: usize, name_bytes: usize) -> bool {
    keys >= MAX_ROW_KEYS || name_bytes >= MAX_ROW_NAME_BYTES
}

impl Rows {
    pub fn new(max_batch_bytes: usize) -> Self {
        let mut rows = Self::default();
        rows.limit(max_batch_bytes);
        rows
    }

    /// How large batches may be from now on.
    pub fn limit(&mut self, max_batch_bytes: usize) {
        self.max_batch_bytes = max_batch_bytes.saturating_sub(BATCH_BYTES);
    }

    pub fn is_empty(&self) -> bool {
        self.points == 0 && self.params.is_empty() && self.tags.is_empty()
    }

    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Adds a row. A key that comes twice has the later value; one that is too long is refused.
    pub fn push<K, V>(&mut self, values: impl Iterator<Item = (K, V)> + Clone, step: i64, time: i64)
    where
        K: AsRef<str>,
        V: Borrow<f64>,
    {
        let mut rest = values;
        loop {
            let expected = self.shapes.get(self.last).map_or(0, |shape| shape.next);
            match self.push_as(expected, rest.clone(), step, time) {
                Some((after, is_end)) => {
                    if is_end {
                        return;
                    }
                    rest = after;
                }
                None => break,
            }
        }
        let mut row: Vec<(K, f64)> = rest.map(|(key, value)| (key, *value.borrow())).collect();
        row.retain(|(key, _)| self.takes(key.as_ref()));
        let mut left = &row[..];
        while !left.is_empty() {
            let (part, after) = left.split_at(part_of(left));
            self.push_any(part, step, time);
            left = after;
        }
    }

    fn takes(&mut self, key: &str) -> bool {
        let is_short = key.len() <= MAX_KEY_BYTES;
        if !is_short {
            self.refused.push(long_key(key, 1));
        }
        is_short
    }

    /// Adds a row whose keys are those of this shape, in their order. What is left of a wider row
    /// comes back, and whether that is nothing; None: they are others.
    fn push_as<K, V, I>(
        &mut self,
        at: usize,
        mut values: I,
        step: i64,
        time: i64,
    ) -> Option<(I, bool)>
    where
        K: AsRef<str>,
        V: Borrow<f64>,
        I: Iterator<Item = (K, V)> + Clone,
    {
        self.make_room(at)?;
        let shape = &mut self.shapes[at];
        let length = shape.steps.len() * shape.keys.len();
        shape.values.truncate(length); // an iterator may have panicked
        for expected in &shape.keys {
            match values.next() {
                Some((key, value)) if key.as_ref() == &**expected => {
                    shape.values.push(*value.borrow())
                }
                _ => {
                    shape.values.truncate(length);
                    return None;
                }
            }
        }
        let is_part = shape.is_full();
        let is_end = if is_part {
            values.clone().next()
        } else {
            values.next()
        }
        .is_none();
        if !is_end && !is_part {
            shape.values.truncate(length);
            return None;
        }
        self.added(at, step, time);
        Some((values, is_end))
    }

    /// Seals where another row of this shape would be too much. None: there is no such shape.
    fn make_room(&mut self, at: usize) -> Option<()> {
        let shape = self.shapes.get(at)?;
        let frame_bytes = if shape.steps.is_empty() {
            shape.frame_bytes()
        } else {
            0
        };
        self.make_room_for(shape.row_bytes() + frame_bytes);
        Some(())
    }

    fn make_room_for(&mut self, size_bytes: usize) {
        if self.size_bytes + size_bytes > self.max_batch_bytes {
            self.seal();
        }
    }

    fn added(&mut self, at: usize, step: i64, time: i64) {
        let shape = &mut self.shapes[at];
        if shape.steps.is_empty() {
            self.active.push(at);
            self.size_bytes += shape.frame_bytes();
        }
        shape.steps.push(step);
        shape.times.push(time);
        self.points += shape.keys.len() as u64;
        self.size_bytes += shape.row_bytes();
        self.shapes[self.last].next = at;
        self.last = at;
    }

    /// Adds a row of any keys.
    fn push_any<K: AsRef<str>>(&mut self, row: &[(K, f64)], step: i64, time: i64) {
        let mut sorted: Vec<usize> = (0..row.len()).collect();
        sorted.sort_by(|one, other| key(row, *one).cmp(key(row, *other)));
        sorted.reverse(); // of equal keys the later one is first now, and stays
        sorted.dedup_by(|one, other| key(row, *one) == key(row, *other));
        sorted.reverse();
        if sorted.is_empty() {
            return;
        }
        let at = self.shape_of(row, &sorted);
        self.make_room(at);
        let shape = &mut self.shapes[at];
        let length = shape.values.len();
        shape.values.resize(length + sorted.len(), 0.0);
        for (place, from) in shape.sorted.iter().zip(&sorted) {
            shape.values[length + place] = row[*from].1;
        }
        self.added(at, step, time);
    }

    /// The shape of a row, of which `sorted` has the places by key.
    fn shape_of<K: AsRef<str>>(&mut self, row: &[(K, f64)], sorted: &[usize]) -> usize {
        let mut hasher = DefaultHasher::new();
        sorted
            .iter()
            .for_each(|place| key(row, *place).hash(&mut hasher));
        let hash = hasher.finish();
        let is_same = |shape: &Shape| {
            let keys = shape.sorted.iter().map(|place| &*shape.keys[*place]);
            keys.eq(sorted.iter().map(|place| key(row, *place)))
        };
        let known = self.by_keys.get(&hash).into_iter().flatten().copied();
        if let Some(found) = known.into_iter().find(|at| is_same(&self.shapes[*at])) {
            return found;
        }
        if self.shapes.len() >= MAX_SHAPES {
            self.forget_shapes();
        }
        let at = self.shapes.len();
        let shape = self.new_shape(row, sorted, at);
        self.shapes.push(shape);
        self.by_keys.entry(hash).or_default().push(at);
        at
    }

    /// What has rows is sealed first. Keys keep their ids.
    fn forget_shapes(&mut self) {
        self.seal();
        self.shapes.clear();
        self.by_keys.clear();
        self.last = 0;
    }

    fn new_shape<K: AsRef<str>>(&mut self, row: &[(K, f64)], sorted: &[usize], at: usize) -> Shape {
        let mut kept = sorted.to_vec();
        kept.sort_unstable();
        let keys: Vec<Box<str>> = kept.iter().map(|place| key(row, *place).into()).collect();
        let name_bytes = keys.iter().map(|key| key.len()).sum();
        // Before its names are declared: they are to go with the frame that counts them.
        self.make_room_for(row_bytes(keys.len()) + frame_bytes(keys.len(), name_bytes));
        let ids = keys.iter().map(|key| self.id_of(key)).collect();
        let place = |from: &usize| kept.binary_search(from).expect("it was kept");
        let sorted = sorted.iter().map(place).collect();
        Shape {
            keys,
            sorted,
            ids,
            name_bytes,
            next: at,
            steps: vec![],
            times: vec![],
            values: vec![],
        }
    }

    fn id_of(&mut self, key: &str) -> u32 {
        if let Some(id) = self.ids.get(key) {
            return *id;
        }
        let id = self.ids.len() as u32 + 1;
        self.ids.insert(key.into(), id);
        self.new_names.push(SeriesName {
            id,
            key: key.into(),
        });
        id
    }

    /// Adds a param; another value of the same key comes in a batch of its own, to be refused there.
    pub fn param(&mut self, key: String, value: String) {
        let earlier = self.params.get(&key);
        if earlier.is_some_and(|earlier| *earlier != value) {
            self.seal();
        }
        if self.takes_text(&key, &value) {
            self.params.insert(key, value);
        }
    }

    pub fn tag(&mut self, key: String, value: String) {
        if self.takes_text(&key, &value) {
            self.tags.insert(key, value);
        }
    }

    /// Makes room for a param or tag, and counts it; false: it is refused.
    fn takes_text(&mut self, key: &str, value: &str) -> bool {
        if let Err(rejection) = check_text(key, value) {
            self.refused.push(rejection);
            return false;
        }
        let size_bytes = key.len() + value.len() + NAME_BYTES;
        self.make_room_for(size_bytes);
        self.size_bytes += size_bytes;
        true
    }

    /// Closes the batch, if there is anything in it.
    pub fn seal(&mut self) {
        if self.is_empty() {
            return;
        }
        self.sequence += 1;
        let mut uses = Vec::new();
        let frames = std::mem::take(&mut self.active).into_iter().map(|at| {
            let shape = &mut self.shapes[at];
            uses.extend(&shape.ids);
            Frame {
                series: shape.ids.clone(),
                steps: std::mem::take(&mut shape.steps),
                times_micros: std::mem::take(&mut shape.times),
                values: std::mem::take(&mut shape.values),
            }
        });
        let message = MetricBatch {
            sequence: self.sequence,
            frames: frames.collect(),
            series: std::mem::take(&mut self.new_names),
            params: std::mem::take(&mut self.params),
            tags: std::mem::take(&mut self.tags),
            ..Default::default()
        };
        let size_bytes = std::mem::take(&mut self.size_bytes) + BATCH_BYTES;
        let points = std::mem::take(&mut self.points);
        self.sealed.push_back(Batch {
            message,
            uses,
            points,
            size_bytes,
        });
    }
}

/// How many of these pairs go as one row: until it is full.
fn part_of<K: AsRef<str>>(row: &[(K, f64)]) -> usize {
    let mut name_bytes = 0;
    let fills = |(place, (key, _)): (usize, &(K, f64))| {
        name_bytes += key.as_ref().len();
        is_full(place + 1, name_bytes)
    };
    let last = row.iter().enumerate().position(fills);
    last.map_or(row.len(), |last| last + 1)
}

fn key<K: AsRef<str>>(row: &[(K, f64)], place: usize) -> &str {
    row[place].0.as_ref()
}

#[cfg(test)]
mod tests;
