//! The series of a seed; see the specification.

use runwire::Writer;

const FIRST_MICROS: i64 = 1_700_000_000_000_000;

pub fn value(seed: u64, i: u64) -> f64 {
    let mut z = seed.wrapping_add((i + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 11) as f64 * 2.0f64.powi(-53)
}

/// Every point in a call of its own; thread t of n has those with i mod n = t.
pub fn write(writer: &Writer, key: &str, count: u64, seed: u64, threads: u64) {
    let part = |thread: u64| {
        for i in (thread..count).step_by(threads as usize) {
            writer.log_at([(key, value(seed, i))], i as i64, FIRST_MICROS + i as i64);
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            scope.spawn(move || part(thread));
        }
    });
}
