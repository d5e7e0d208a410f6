//! How clients reach the server: encrypted or not, and through whom.

use std::net::IpAddr;
use std::path::PathBuf;

use clap::Args;
use ipnet::IpNet;

use crate::server::{Tls, TlsError};

/// The arguments about TLS and proxies.
#[derive(Args, Clone, Debug)]
pub struct TlsArgs {
    /// The certificate (PEM, with those that lead to its authority behind it): the server then speaks TLS only, with
    /// HTTP/2. Read again at SIGHUP, like the key.
    #[arg(long, env = "STRANDLINE_TLS_CERT", value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,

    /// The certificate's private key (PEM).
    #[arg(long, env = "STRANDLINE_TLS_KEY", value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,

    /// A proxy that may say, by X-Forwarded-For and X-Forwarded-Proto or by Forwarded, who the client is: an address, or
    /// a network such as 10.0.0.0/8; several with commas. From everybody else these headers mean nothing.
    #[arg(long, env = "STRANDLINE_TRUSTED_PROXY", value_name = "NETWORK", value_delimiter = ',', value_parser = network)]
    pub trusted_proxy: Vec<IpNet>,
}

impl TlsArgs {
    /// Reads the certificate, if one is given.
    ///
    /// # Errors
    /// When the files cannot be used.
    pub fn load(&self) -> Result<Option<Tls>, TlsError> {
        self.tls_cert
            .as_ref()
            .zip(self.tls_key.as_ref())
            .map(|(certificate, key)| Tls::load(certificate, key))
            .transpose()
    }
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network
        .map(|network: IpNet| network.trunc())
        .map_err(|_| "a proxy is an address or a network, such as 10.0.0.1 or 10.0.0.0/8".into())
}
