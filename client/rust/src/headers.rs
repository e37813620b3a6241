//! What is sent with every call: which client, who uses it, and by what right.

use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{Error, Result};

/// What is sent with every call.
pub(crate) fn headers(token: &str, user: &str) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let client = concat!("rust/", env!("CARGO_PKG_VERSION"));
    headers.insert(
        HeaderName::from_static("runwire-client"),
        HeaderValue::from_static(client),
    );
    let mut add = |name: &'static str, value: String| -> Result<()> {
        let value = HeaderValue::try_from(value)
            .map_err(|_| Error::invalid(name, "holds characters of no header"))?;
        headers.insert(HeaderName::from_static(name), value);
        Ok(())
    };
    if !user.is_empty() {
        add("runwire-user", percent_encoded(user))?;
    }
    if !token.is_empty() {
        add("authorization", format!("Bearer {token}"))?;
    }
    Ok(headers)
}

fn percent_encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b'~' | b' ' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_of_all_scripts_fit_a_header() {
        let headers = headers("secret", "Zoë 5%").unwrap();
        assert_eq!(headers["runwire-user"], "Zo%C3%AB 5%25");
        assert_eq!(headers["authorization"], "Bearer secret");
        assert!(
            headers["runwire-client"]
                .to_str()
                .unwrap()
                .starts_with("rust/")
        );
    }

    #[test]
    fn token_that_no_header_can_hold_is_refused() {
        assert_eq!(
            super::headers("a\nb", "").unwrap_err().metadata()["field"],
            "authorization"
        );
    }
}
