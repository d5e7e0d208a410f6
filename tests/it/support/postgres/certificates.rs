//! A server's certificate, the authority that signed it, and another that did not.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};

use super::account::give;

/// The file, in the cluster's directory, with the certificate of the authority that signed the server's.
pub const AUTHORITY: &str = "authority.pem";
/// That of one that signed nothing.
pub const STRANGER: &str = "stranger.pem";

/// Makes them all; `names` are the host names and addresses that the server's is for. PostgreSQL finds its own where it
/// looks by itself.
pub fn make(directory: &Path, names: &[String]) {
    let (authority, stranger) = (authority(directory, AUTHORITY), self::authority(directory, STRANGER));
    drop(stranger);
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    let secret = directory.join("data/server.key");
    write(&directory.join("data/server.crt"), &certificate.pem());
    write(&secret, &key.serialize_pem());
    // It does not start with a key that others can read.
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
}

fn authority(directory: &Path, file: &str) -> Issuer<'static, KeyPair> {
    let mut it = CertificateParams::default();
    it.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    it.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    it.distinguished_name.push(DnType::CommonName, file);
    let key = KeyPair::generate().unwrap();
    write(&directory.join(file), &it.self_signed(&key).unwrap().pem());
    Issuer::new(it, key)
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    give(path);
}
