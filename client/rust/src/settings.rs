//! The environment, read in one place.

use std::env;
use std::time::Duration;

use crate::{Error, Result};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Empty means unset.
pub(crate) struct Settings {
    pub tracking_uri: String,
    pub workspace: String,
    pub user: String,
    pub token: String,
    pub ca_file: String,
    pub timeout: Duration,
}

impl Settings {
    /// As the environment is now; the error names the variable.
    pub fn read() -> Result<Self> {
        Ok(Self {
            tracking_uri: variable("RUNWIRE_TRACKING_URI"),
            workspace: variable("RUNWIRE_WORKSPACE"),
            user: user(),
            token: variable("RUNWIRE_TOKEN"),
            ca_file: variable("RUNWIRE_CA_FILE"),
            timeout: timeout(&variable("RUNWIRE_TIMEOUT_S"))?,
        })
    }
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn user() -> String {
    let names = ["RUNWIRE_USER", "LOGNAME", "USER", "LNAME", "USERNAME"];
    let found = names
        .into_iter()
        .map(variable)
        .find(|name| !name.is_empty());
    found.unwrap_or_default()
}

fn timeout(text: &str) -> Result<Duration> {
    if text.is_empty() {
        return Ok(TIMEOUT);
    }
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds < 1e6 => Ok(Duration::from_secs_f64(seconds)),
        _ => Err(Error::invalid(
            "RUNWIRE_TIMEOUT_S",
            format!("{text:?} is no number of seconds above 0"),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_is_a_number_of_seconds() {
        assert_eq!(timeout("").unwrap(), TIMEOUT);
        assert_eq!(timeout("0.5").unwrap(), Duration::from_millis(500));
        for text in ["0", "-1", "NaN", "ten", "1e9"] {
            assert_eq!(
                timeout(text).unwrap_err().metadata()["field"],
                "RUNWIRE_TIMEOUT_S"
            );
        }
    }
}
