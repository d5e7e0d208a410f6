//! A disk of a few MiB, mounted for one test, and a file on it that takes up the room.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

/// A tmpfs, unmounted when it goes out of scope.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it at a new directory, where that is permitted.
    pub fn mount(at: &Path, size: &std::ffi::CStr) -> rustix::io::Result<Self> {
        std::fs::create_dir(at).unwrap();
        mount("tmpfs", at, "tmpfs", MountFlags::empty(), size)?;
        Ok(Self(at.to_owned()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Whoever still has a file open there keeps it, and nobody else sees it.
        let _ = unmount(&self.0, UnmountFlags::DETACH);
    }
}

/// Runs the test `name` once more in a namespace of its own, where anybody may mount. `false` if that is not permitted.
pub fn in_a_namespace(name: &str) -> bool {
    const MARK: &str = "STRANDLINE_TEST_IN_NAMESPACE";
    let permitted = || Command::new("unshare").args(["-rm", "true"]).status().is_ok_and(|status| status.success());
    if std::env::var_os(MARK).is_some() || !permitted() {
        return false;
    }
    let mut again = Command::new("unshare");
    again.arg("-rm").arg(std::env::current_exe().unwrap()).args(["--exact", name, "--nocapture"]).env(MARK, "1");
    let done = again.output().unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}\n{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("1 passed"), "the test was not found: {said}");
    true
}

/// The file that fills the disk.
pub struct Ballast {
    path: PathBuf,
    file: File,
}

impl Ballast {
    pub fn new(disk: &SmallDisk) -> Self {
        let path = disk.path().join("ballast");
        Self { file: File::create(&path).unwrap(), path }
    }

    /// Takes all the room but `bytes`.
    pub fn leave(&mut self, bytes: u64) {
        let (mut length, piece) = (self.file.metadata().unwrap().len(), vec![7; 1 << 16]);
        while let Ok(written @ 1..) = self.file.write_at(&piece, length) {
            length += written as u64;
        }
        self.file.set_len(length.checked_sub(bytes).expect("the ballast is larger than that")).unwrap();
        self.file.flush().unwrap();
    }

    pub fn remove(self) {
        std::fs::remove_file(self.path).unwrap();
    }
}
