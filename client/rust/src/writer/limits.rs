//! What is refused before it is sent: in a batch it would cost the batch, and with it the writer.

use crate::Error;
use crate::v1::{Fault, Rejection};

/// Of a key; the server takes less, and rejects that one alone.
pub(super) const MAX_KEY_BYTES: usize = 4096;
/// Of the value of a param or tag; as above.
pub(super) const MAX_VALUE_BYTES: usize = 256 << 10;
/// Of a key that a rejection names.
const SHOWN_BYTES: usize = 80;

/// Whether that is too much of a param or tag.
pub(super) fn check_text(key: &str, value: &str) -> Result<(), Rejection> {
    if key.len() > MAX_KEY_BYTES {
        return Err(long_key(key, 0));
    }
    if value.len() > MAX_VALUE_BYTES {
        let problem = format!("{} bytes, at most are {MAX_VALUE_BYTES}", value.len());
        return Err(rejection(key, 0, Error::invalid("value", problem)));
    }
    Ok(())
}

pub(super) fn long_key(key: &str, points: i64) -> Rejection {
    let problem = format!("{} bytes, at most are {MAX_KEY_BYTES}", key.len());
    rejection(key, points, Error::invalid("key", problem))
}

/// As the server tells it, of no batch.
fn rejection(key: &str, points: i64, error: Error) -> Rejection {
    let end = (0..=SHOWN_BYTES.min(key.len()))
        .rev()
        .find(|end| key.is_char_boundary(*end));
    Rejection {
        sequence: 0,
        key: key[..end.unwrap_or(0)].into(),
        points,
        fault: Some(Fault {
            reason: error.reason().into(),
            message: error.message().into(),
            metadata: error.metadata().clone(),
        }),
    }
}
