//! Whom to trust: the enabled certificate authorities, or those of a file.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring};
use tonic::transport::{Certificate, ClientTlsConfig};

use crate::{Error, Result};

/// For gRPC, to a server whose certificate is for `host`.
pub(crate) fn grpc(ca_file: &Path, host: &str) -> Result<ClientTlsConfig> {
    let config = ClientTlsConfig::new().domain_name(host.trim_matches(['[', ']']));
    if ca_file.as_os_str().is_empty() {
        return Ok(config.with_enabled_roots());
    }
    Ok(config.ca_certificate(Certificate::from_pem(read(ca_file)?)))
}

/// For the web port.
pub(crate) fn web(ca_file: &Path) -> Result<TlsConnector> {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::io)?;
    let config = builder
        .with_root_certificates(roots(ca_file)?)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(ca_file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if !ca_file.as_os_str().is_empty() {
        let pem = read(ca_file)?;
        let found = CertificateDer::pem_slice_iter(&pem).filter_map(|one| one.ok());
        roots.add_parsable_certificates(found);
        return Ok(roots);
    }
    #[cfg(feature = "tls-native-roots")]
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    #[cfg(feature = "tls-webpki-roots")]
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    Ok(roots)
}

fn read(ca_file: &Path) -> Result<Vec<u8>> {
    std::fs::read(ca_file).map_err(|error| {
        Error::invalid("RUNWIRE_CA_FILE", format!("{}: {error}", ca_file.display()))
    })
}
