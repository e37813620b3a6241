//! Batches that are sealed and not acknowledged, in their order.

use std::collections::{HashSet, VecDeque};

use bytes::Bytes;
use prost::Message;

use super::rows::Batch;
use crate::v1::SeriesName;

/// A batch in its serialised form, which never changes.
pub(super) struct Sealed {
    pub bytes: Bytes,
    uses: Vec<u32>,
    /// The first id that it declares itself, and how many.
    declares: (u32, usize),
    points: u64,
    size_bytes: usize,
}

#[derive(Default)]
pub(super) struct Outbox {
    batches: VecDeque<Sealed>,
    /// Of the last batch that is acknowledged.
    committed: i64,
    /// By id, from 1.
    names: Vec<SeriesName>,
}

impl Outbox {
    pub fn add(&mut self, batch: Batch) {
        let Batch {
            message,
            uses,
            points,
            size_bytes,
        } = batch;
        let bytes = message.encode_to_vec().into();
        let declares = (self.names.len() as u32 + 1, message.series.len());
        self.names.extend(message.series);
        self.batches.push_back(Sealed {
            bytes,
            uses,
            declares,
            points,
            size_bytes,
        });
    }

    pub fn is_empty(&self) -> bool {
        self.batches.is_empty()
    }

    pub fn committed(&self) -> i64 {
        self.committed
    }

    /// Sequence of the last batch.
    pub fn last(&self) -> i64 {
        self.committed + self.batches.len() as i64
    }

    pub fn get(&self, sequence: i64) -> Option<&Sealed> {
        self.batches
            .get(usize::try_from(sequence - self.committed - 1).ok()?)
    }

    /// The size of the batches up to a sequence.
    pub fn bytes_to(&self, sequence: i64) -> usize {
        let count = usize::try_from(sequence - self.committed).unwrap_or(0);
        self.batches
            .iter()
            .take(count)
            .map(|batch| batch.bytes.len())
            .sum()
    }

    /// Names that a batch uses, and neither itself nor this call has declared; both have then.
    pub fn undeclared(&self, sequence: i64, declared: &mut HashSet<u32>) -> Vec<SeriesName> {
        let Some(batch) = self.get(sequence) else {
            return Vec::new();
        };
        let (first, count) = batch.declares;
        declared.extend((first..).take(count));
        let new = batch.uses.iter().filter(|id| declared.insert(**id));
        new.map(|id| self.names[*id as usize - 1].clone()).collect()
    }

    /// Drops what is acknowledged; returns its size.
    pub fn acknowledge(&mut self, committed: i64) -> usize {
        let mut size_bytes = 0;
        while self.committed < committed
            && let Some(batch) = self.batches.pop_front()
        {
            self.committed += 1;
            size_bytes += batch.size_bytes;
        }
        size_bytes
    }

    pub fn points(&self) -> u64 {
        self.batches.iter().map(|batch| batch.points).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::writer::rows::Rows;

    /// Batches of the keys of each.
    fn outbox(batches: &[&[&str]]) -> Outbox {
        let mut rows = Rows::new(1 << 20);
        let mut outbox = Outbox::default();
        for keys in batches {
            rows.push(keys.iter().map(|key| (*key, 1.0)), 0, 0);
            rows.seal();
        }
        rows.sealed.drain(..).for_each(|batch| outbox.add(batch));
        outbox
    }

    fn keys(names: Vec<SeriesName>) -> Vec<String> {
        names.into_iter().map(|name| name.key).collect()
    }

    #[test]
    fn call_that_begins_later_declares_what_earlier_batches_had() {
        let mut outbox = outbox(&[&["a", "b"], &["a"], &["b", "c"]]);
        let mut declared = HashSet::new();
        assert!((1..=3).all(|sequence| outbox.undeclared(sequence, &mut declared).is_empty()));
        outbox.acknowledge(1);
        let mut declared = HashSet::new();
        assert_eq!(keys(outbox.undeclared(2, &mut declared)), ["a"]);
        assert_eq!(keys(outbox.undeclared(3, &mut declared)), ["b"]);
    }

    #[test]
    fn acknowledgements_are_cumulative_and_may_be_repeated() {
        let mut outbox = outbox(&[&["a"], &["a"], &["a"]]);
        assert!(outbox.acknowledge(2) > 0);
        assert_eq!((outbox.committed(), outbox.last()), (2, 3));
        assert_eq!(outbox.acknowledge(1), 0);
        assert!(outbox.get(2).is_none() && outbox.get(3).is_some());
    }
}
