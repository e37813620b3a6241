//! Points in columns, as they are logged, up to immutable batches.
//!
//! The rows of one set of keys (a *shape*) lie together, and a call costs a comparison of its keys
//! with those of the shape that came after the last one before. No key is copied, and nothing is
//! allocated but the columns.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap, VecDeque, hash_map::DefaultHasher};
use std::hash::{Hash, Hasher};

use crate::v1::{Frame, MetricBatch, SeriesName};

/// Wider rows are several: a frame is dense, and must fit a batch with its names.
const MAX_ROW_KEYS: usize = 1000;
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
    pub max_batch_bytes: usize,
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
    /// The shape that came after this one.
    next: usize,
    steps: Vec<i64>,
    times: Vec<i64>,
    values: Vec<f64>,
}

impl Shape {
    fn row_bytes(&self) -> usize {
        16 + 8 * self.keys.len()
    }

    fn frame_bytes(&self) -> usize {
        FRAME_BYTES + ID_BYTES * self.keys.len()
    }
}

impl Rows {
    pub fn new(max_batch_bytes: usize) -> Self {
        Self {
            max_batch_bytes,
            ..Default::default()
        }
    }

    pub fn is_empty(&self) -> bool {
        self.points == 0 && self.params.is_empty() && self.tags.is_empty()
    }

    pub fn size_bytes(&self) -> usize {
        self.size_bytes
    }

    /// Adds a row. A key that comes twice has the later value.
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
        let row: Vec<(K, f64)> = rest.map(|(key, value)| (key, *value.borrow())).collect();
        for part in row.chunks(MAX_ROW_KEYS) {
            self.push_any(part, step, time);
        }
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
        let is_part = shape.keys.len() == MAX_ROW_KEYS;
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
        if self.size_bytes + shape.row_bytes() + frame_bytes > self.max_batch_bytes {
            self.seal();
        }
        Some(())
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
        let at = self.shapes.len();
        let shape = self.new_shape(row, sorted, at);
        self.shapes.push(shape);
        self.by_keys.entry(hash).or_default().push(at);
        at
    }

    fn new_shape<K: AsRef<str>>(&mut self, row: &[(K, f64)], sorted: &[usize], at: usize) -> Shape {
        let mut kept = sorted.to_vec();
        kept.sort_unstable();
        let keys: Vec<Box<str>> = kept.iter().map(|place| key(row, *place).into()).collect();
        let ids = keys.iter().map(|key| self.id_of(key)).collect();
        let place = |from: &usize| kept.binary_search(from).expect("it was kept");
        let sorted = sorted.iter().map(place).collect();
        Shape {
            keys,
            sorted,
            ids,
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
        let size_bytes = key.len() + NAME_BYTES;
        if self.size_bytes + size_bytes > self.max_batch_bytes {
            self.seal();
        }
        let id = self.ids.len() as u32 + 1;
        self.ids.insert(key.into(), id);
        self.new_names.push(SeriesName {
            id,
            key: key.into(),
        });
        self.size_bytes += size_bytes;
        id
    }

    /// Adds a param; another value of the same key comes in a batch of its own, to be refused there.
    pub fn param(&mut self, key: String, value: String) {
        self.make_room_for(key.len() + value.len());
        if self
            .params
            .get(&key)
            .is_some_and(|earlier| *earlier != value)
        {
            self.seal();
        }
        self.params.insert(key, value);
    }

    pub fn tag(&mut self, key: String, value: String) {
        self.make_room_for(key.len() + value.len());
        self.tags.insert(key, value);
    }

    fn make_room_for(&mut self, text_bytes: usize) {
        if self.size_bytes + text_bytes + NAME_BYTES > self.max_batch_bytes {
            self.seal();
        }
        self.size_bytes += text_bytes + NAME_BYTES;
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

fn key<K: AsRef<str>>(row: &[(K, f64)], place: usize) -> &str {
    row[place].0.as_ref()
}

#[cfg(test)]
mod tests;
