//! From what was known to what is new.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::Meanings;
use crate::Result;
use crate::v1::ModelVersion;

/// A reference means something else now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModelChange {
    /// As it is watched.
    pub reference: String,
    /// What it meant when this was last told; None: nothing.
    pub before: Option<ModelVersion>,
    /// What it means, or why it means nothing.
    pub now: Result<ModelVersion>,
}

/// Tells each change; what came while the callback ran, as it is in the end.
pub(super) fn announce(news: Receiver<Arc<Meanings>>, mut handle: impl FnMut(ModelChange)) {
    let mut told = Arc::new(Meanings::new());
    while let Ok(next) = news.recv() {
        let newest = news.try_iter().last().unwrap_or(next);
        changes(&told, &newest).into_iter().for_each(&mut handle);
        told = newest;
    }
}

fn changes(told: &Meanings, newest: &Meanings) -> Vec<ModelChange> {
    let is_new = |(reference, now): &(&String, &Result<ModelVersion>)| {
        told.get(*reference)
            .is_none_or(|before| !is_same(before, now))
    };
    let change = |(reference, now): (&String, &Result<ModelVersion>)| ModelChange {
        reference: reference.clone(),
        before: told.get(reference).and_then(|before| before.clone().ok()),
        now: now.clone(),
    };
    newest.iter().filter(is_new).map(change).collect()
}

/// Whether both mean the same version in the same state, or nothing for the same reason.
fn is_same(one: &Result<ModelVersion>, other: &Result<ModelVersion>) -> bool {
    match (one, other) {
        (Err(one), Err(other)) => one.reason() == other.reason(),
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;
    use crate::Error;

    fn meanings(version: i64) -> Arc<Meanings> {
        let meaning = match version {
            0 => Err(Error::unavailable("gone")),
            _ => Ok(ModelVersion {
                version,
                ..Default::default()
            }),
        };
        Arc::new([("m@a".to_owned(), meaning)].into())
    }

    fn told(news: &[i64]) -> Vec<(Option<i64>, Option<i64>)> {
        let (sender, receiver) = channel();
        news.iter()
            .for_each(|version| sender.send(meanings(*version)).unwrap());
        drop(sender);
        let mut told = Vec::new();
        announce(receiver, |change| {
            let version = |one: ModelVersion| one.version;
            told.push((change.before.map(version), change.now.ok().map(version)));
        });
        told
    }

    #[test]
    fn first_answers_are_told_too() {
        assert_eq!(told(&[1]), [(None, Some(1))]);
        assert_eq!(told(&[0]), [(None, None)]);
    }

    #[test]
    fn several_changes_are_one() {
        assert_eq!(told(&[1, 2, 3]), [(None, Some(3))]);
    }

    #[test]
    fn what_is_as_it_was_is_not_told() {
        assert!(changes(&meanings(2), &meanings(2)).is_empty());
        assert!(changes(&meanings(0), &meanings(0)).is_empty());
        assert_eq!(
            changes(&meanings(2), &meanings(3))[0]
                .before
                .as_ref()
                .unwrap()
                .version,
            2
        );
    }
}
