//! What is logged is what is sealed.

use std::collections::HashSet;

use prost::Message;

use super::*;
use crate::writer::limits::MAX_VALUE_BYTES;
use crate::writer::outbox::Outbox;
use crate::writer::wire::StreamRequest;

fn rows() -> Rows {
    Rows::new(1 << 20)
}

/// Every point of what was sealed, in its order: (key, step, value).
fn points(rows: &mut Rows) -> Vec<(String, i64, f64)> {
    rows.seal();
    let mut names = HashMap::new();
    let mut found = Vec::new();
    for batch in &rows.sealed {
        names.extend(
            batch
                .message
                .series
                .iter()
                .map(|name| (name.id, name.key.clone())),
        );
        for frame in &batch.message.frames {
            assert_eq!(frame.times_micros.len(), frame.steps.len());
            assert_eq!(frame.values.len(), frame.steps.len() * frame.series.len());
            for (row, step) in frame.values.chunks(frame.series.len()).zip(&frame.steps) {
                let keys = frame.series.iter().map(|id| names[id].clone());
                found.extend(keys.zip(row).map(|(key, value)| (key, *step, *value)));
            }
        }
    }
    found
}

fn point(key: &str, step: i64, value: f64) -> (String, i64, f64) {
    (key.into(), step, value)
}

#[test]
fn rows_of_one_set_of_keys_share_a_frame_whatever_their_order() {
    let mut rows = rows();
    rows.push([("a", 1.0), ("b", 2.0)].into_iter(), 0, 0);
    rows.push([("b", 4.0), ("a", 3.0)].into_iter(), 1, 0);
    rows.push([("a", 5.0), ("b", 6.0)].into_iter(), 2, 0);
    let found = points(&mut rows);
    assert_eq!(rows.sealed[0].message.frames.len(), 1);
    let expected = [
        ("a", 0, 1.0),
        ("b", 0, 2.0),
        ("a", 1, 3.0),
        ("b", 1, 4.0),
        ("a", 2, 5.0),
        ("b", 2, 6.0),
    ];
    assert_eq!(
        found,
        expected.map(|(key, step, value)| point(key, step, value))
    );
}

#[test]
fn alternating_sets_of_keys_each_have_their_frame() {
    let mut rows = rows();
    for step in 0..10 {
        rows.push([("a", 1.0)].into_iter(), step, 0);
        rows.push([("a", 2.0), ("b", 3.0)].into_iter(), step, 0);
        rows.push(std::iter::empty::<(&str, f64)>(), step, 0);
    }
    assert_eq!(points(&mut rows).len(), 30);
    let frames = &rows.sealed[0].message.frames;
    assert_eq!(
        frames
            .iter()
            .map(|frame| frame.steps.len())
            .collect::<Vec<_>>(),
        [10, 10]
    );
}

#[test]
fn sets_of_keys_beyond_many_are_forgotten_and_keys_keep_their_ids() {
    let mut rows = rows();
    let mut logged = 0;
    for step in 0..3 * MAX_SHAPES as i64 {
        let other = format!("key/{}", step % (MAX_SHAPES as i64 + 7));
        rows.push([("a", 1.0), (&*other, 2.0)].into_iter(), step, 0);
        logged += 2;
        assert!(rows.shapes.len() <= MAX_SHAPES);
    }
    assert_eq!(rows.ids.len(), MAX_SHAPES + 8);
    assert_eq!(points(&mut rows).len(), logged);
}

#[test]
fn key_that_comes_twice_has_its_later_value() {
    let mut rows = rows();
    rows.push([("a", 1.0), ("b", 2.0), ("a", 3.0)].into_iter(), 7, 0);
    let mut found = points(&mut rows);
    found.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(found, [point("a", 7, 3.0), point("b", 7, 2.0)]);
}

#[test]
fn wide_rows_are_several_and_lose_nothing() {
    let mut rows = rows();
    let keys: Vec<String> = (0..2500)
        .map(|number| format!("layer/{number}/weights"))
        .collect();
    for step in 0..3 {
        rows.push(keys.iter().map(|key| (key, &0.5)), step, 0);
    }
    assert_eq!(points(&mut rows).len(), 3 * keys.len());
    assert_eq!(rows.shapes.len(), 3);
}

#[test]
fn no_batch_is_larger_than_it_may_be_and_each_says_its_size() {
    let mut rows = Rows::new(4096);
    for step in 0..1000 {
        let key = format!("loss/{}", step % 50);
        rows.push(
            [(key.as_str(), 1.0), ("accuracy", f64::NAN)].into_iter(),
            step,
            1 << 60,
        );
        rows.param(format!("p{step}"), "x".repeat(20));
    }
    assert_eq!(points(&mut rows).len(), 2000);
    for (number, batch) in (1..).zip(&rows.sealed) {
        assert_eq!(batch.message.sequence, number);
        assert!(batch.message.encoded_len() <= batch.size_bytes);
        assert!(batch.message.encoded_len() <= 4096);
    }
}

#[test]
fn names_are_declared_once_and_every_batch_says_what_it_uses() {
    let mut rows = rows();
    for step in 0..2 {
        rows.push([("a", 1.0), ("b", 2.0)].into_iter(), step, 0);
        rows.seal();
    }
    let declared: Vec<_> = rows
        .sealed
        .iter()
        .map(|batch| batch.message.series.len())
        .collect();
    assert_eq!(declared, [2, 0]);
    assert_eq!(rows.sealed[1].uses, [1, 2]);
}

#[test]
fn another_value_of_a_param_comes_later() {
    let mut rows = rows();
    rows.param("lr".into(), "1".into());
    rows.param("lr".into(), "1".into());
    rows.param("lr".into(), "2".into());
    rows.seal();
    let values: Vec<_> = rows
        .sealed
        .iter()
        .map(|batch| batch.message.params["lr"].clone())
        .collect();
    assert_eq!(values, ["1", "2"]);
}

/// Rows of 40 sets of 1000 long keys, twice.
fn long_names(rows: &mut Rows) {
    for step in 0..2 {
        for set in 0..40 {
            let key = |number| format!("layers/{set}/{number}/{}", "n".repeat(120));
            let keys: Vec<String> = (0..1000).map(key).collect();
            rows.push(keys.iter().map(|key| (key, &0.5)), step, 0);
        }
        rows.seal();
    }
}

#[test]
fn batch_has_room_for_its_names_on_every_stream() {
    let mut rows = rows();
    long_names(&mut rows);
    let mut outbox = Outbox::default();
    let sizes: Vec<usize> = rows.sealed.iter().map(|batch| batch.size_bytes).collect();
    rows.sealed.drain(..).for_each(|batch| outbox.add(batch));
    for (sequence, size_bytes) in (1..).zip(sizes) {
        let series = outbox.undeclared(sequence, &mut HashSet::new());
        let batch = outbox.get(sequence).map(|batch| batch.bytes.clone());
        let request = StreamRequest {
            batch,
            series,
            ..Default::default()
        };
        assert!(size_bytes <= 1 << 20);
        assert!(request.encoded_len() <= size_bytes);
    }
}

#[test]
fn row_of_long_keys_is_split_so_that_it_fits_and_is_found_again() {
    let mut rows = rows();
    let keys: Vec<String> = (0..900)
        .map(|number| format!("{number:04}{}", "n".repeat(MAX_KEY_BYTES - 4)))
        .collect();
    for step in 0..3 {
        rows.push(keys.iter().map(|key| (key, &0.5)), step, 0);
    }
    let shapes = rows.shapes.len();
    assert_eq!(points(&mut rows).len(), 3 * keys.len());
    assert_eq!(rows.shapes.len(), shapes);
    let sizes = rows.sealed.iter().map(|batch| batch.message.encoded_len());
    assert!(sizes.max() <= Some(1 << 20));
}

#[test]
fn what_is_too_large_is_refused_alone() {
    let mut rows = rows();
    let long = "ä".repeat(MAX_KEY_BYTES);
    rows.push(
        [("a", 1.0), (long.as_str(), 2.0), ("b", 3.0)].into_iter(),
        0,
        0,
    );
    rows.param("config".into(), "x".repeat(1_100_000));
    rows.param(long.clone(), "x".into());
    rows.tag("t".into(), "x".repeat(MAX_VALUE_BYTES + 1));
    rows.tag("fits".into(), "x".repeat(MAX_VALUE_BYTES));
    assert_eq!(points(&mut rows), [point("a", 0, 1.0), point("b", 0, 3.0)]);
    let [batch] = rows.sealed.make_contiguous() else {
        panic!("{} batches", rows.sealed.len());
    };
    assert!(batch.message.params.is_empty());
    assert_eq!(batch.message.tags.len(), 1);
    let told: Vec<_> = rows
        .refused
        .iter()
        .map(|one| {
            (
                one.key.len(),
                one.points,
                &*one.fault.as_ref().unwrap().reason,
            )
        })
        .collect();
    let expected = [(80, 1), (6, 0), (80, 0), (1, 0)];
    assert_eq!(
        told,
        expected.map(|(key, points)| (key, points, "FIELD_INVALID"))
    );
}

#[test]
fn params_that_contradict_are_counted_in_their_batches() {
    let mut rows = rows();
    for step in 0..20 {
        rows.param("config".into(), format!("{step}{}", "x".repeat(250_000)));
        for other in 0..3 {
            rows.param(format!("{step}/{other}"), "x".repeat(250_000));
        }
    }
    rows.seal();
    for batch in &rows.sealed {
        assert!(batch.message.encoded_len() <= batch.size_bytes);
        assert!(batch.message.encoded_len() <= 1 << 20);
    }
}
