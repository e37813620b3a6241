//! Chance: ids, and how long to wait so that not all come back at once.

use std::time::Duration;

/// 32 lower-case hex digits.
pub(crate) fn id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has randomness");
    hex(&bytes)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Evenly between 0 and `ceiling`.
pub(crate) fn up_to(ceiling: Duration) -> Duration {
    let number = getrandom::u32().expect("the system has randomness");
    ceiling.mul_f64(f64::from(number) / f64::from(u32::MAX))
}

/// Exponential with full jitter, after so many failures in a row (1, 2, 3 …).
pub(crate) fn pause(first: Duration, most: Duration, failures: u32) -> Duration {
    up_to(doubled(first, most, failures))
}

pub(crate) fn doubled(first: Duration, most: Duration, failures: u32) -> Duration {
    first
        .saturating_mul(1 << (failures.max(1) - 1).min(16))
        .min(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_most() {
        let (first, most) = (Duration::from_millis(200), Duration::from_secs(2));
        for failures in [0, 1, 2, 5, 1000, u32::MAX] {
            assert!(pause(first, most, failures) <= most);
        }
        assert!(pause(first, most, 1) <= first);
    }

    #[test]
    fn ids_are_32_hex_digits_and_differ() {
        let (one, other) = (id(), id());
        assert_eq!(one.len(), 32);
        assert!(
            one.bytes()
                .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
        );
        assert_ne!(one, other);
    }
}
