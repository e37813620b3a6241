//! What is sent: files, and bytes in memory.

use std::fs::File;
use std::io::{Cursor, Read, Seek};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::v1::artifact::Content;
use crate::v1::{Artifact, Blob};
use crate::{Error, Result, random};

const READ_BYTES: usize = 1 << 20;

/// Where the bytes of an artifact come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file, which must not change until it is sent.
    File(PathBuf),
    /// Bytes in memory.
    Bytes(Bytes),
}

impl Source {
    pub(super) fn open(&self) -> Result<Box<dyn Readable>> {
        Ok(match self {
            Self::File(path) => Box::new(File::open(path).map_err(|error| of_file(path, error))?),
            Self::Bytes(bytes) => Box::new(Cursor::new(bytes.clone())),
        })
    }

    fn modify_time(&self) -> Option<SystemTime> {
        match self {
            Self::File(path) => path.metadata().ok()?.modified().ok(),
            Self::Bytes(_) => None,
        }
    }
}

/// What is read.
pub(super) trait Readable: Read + Seek + Send {}

impl<T: Read + Seek + Send> Readable for T {}

/// A source whose bytes were read once, to know their digest.
#[derive(Clone, Debug)]
pub(super) struct Hashed {
    pub path: String,
    pub source: Source,
    pub blob: Blob,
}

impl Hashed {
    /// Reads it all; blocks.
    pub fn new(path: String, source: Source) -> Result<Self> {
        let mut content = source.open()?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; READ_BYTES];
        let mut size_bytes = 0;
        loop {
            let count = content
                .read(&mut buffer)
                .map_err(|error| of_source(&source, error))?;
            if count == 0 {
                break;
            }
            hash.update(&buffer[..count]);
            size_bytes += count as i64;
        }
        let blob = Blob {
            digest: digest(hash),
            size_bytes,
        };
        Ok(Self { path, source, blob })
    }

    pub fn artifact(&self) -> Artifact {
        Artifact {
            path: self.path.clone(),
            content: Some(Content::Blob(self.blob.clone())),
            modify_time: self.source.modify_time().map(Into::into),
            ..Default::default()
        }
    }

    /// All of it; blocks.
    pub fn read(&self) -> Result<Bytes> {
        let mut data = Vec::with_capacity(self.blob.size_bytes as usize);
        let content = self.source.open()?;
        let mut content = content.take(self.blob.size_bytes as u64);
        content
            .read_to_end(&mut data)
            .map_err(|error| of_source(&self.source, error))?;
        Ok(data.into())
    }
}

pub(super) fn digest(hash: Sha256) -> String {
    format!("sha256:{}", random::hex(&hash.finalize()))
}

pub(super) fn of_source(source: &Source, error: std::io::Error) -> Error {
    match source {
        Source::File(path) => of_file(path, error),
        Source::Bytes(_) => Error::io(error),
    }
}

pub(super) fn of_file(path: &Path, error: std::io::Error) -> Error {
    Error::io(format!("{}: {error}", path.display()))
}

/// Every regular file below a folder with its path there, in the order of the paths; blocks. Links to
/// files are followed; those to folders are not: they may lead round in circles.
pub(super) fn walk(folder: &Path, prefix: &str) -> Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).map_err(|error| of_file(folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| of_file(folder, error))?;
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| Error::invalid("path", format!("{path:?} is no UTF-8")))?;
        let inner = if prefix.is_empty() {
            name.to_owned()
        } else {
            format!("{prefix}/{name}")
        };
        let kind = entry.file_type().map_err(|error| of_file(&path, error))?;
        if kind.is_dir() {
            found.extend(walk(&path, &inner)?);
        } else if path
            .metadata()
            .map_err(|error| of_file(&path, error))?
            .is_file()
        {
            found.push((inner, path));
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::process::Command;

    use super::*;

    #[test]
    fn walk_finds_regular_files_and_does_not_go_round_in_circles() {
        let root = std::env::temp_dir().join(format!("runwire-{}", random::id()));
        let folder = root.join("real");
        fs::create_dir_all(folder.join("sub/empty")).unwrap();
        fs::write(folder.join("sub/file"), "x").unwrap();
        symlink(folder.join("sub/file"), folder.join("linked")).unwrap();
        symlink(&folder, folder.join("round")).unwrap();
        symlink(&folder, root.join("link")).unwrap();
        let fifo = Command::new("mkfifo").arg(folder.join("fifo")).status();
        assert!(fifo.unwrap().success());
        for folder in [&folder, &root.join("link")] {
            let found = walk(folder, "top").unwrap();
            let paths: Vec<_> = found.iter().map(|(path, _)| &**path).collect();
            assert_eq!(paths, ["top/linked", "top/sub/file"]);
        }
        fs::remove_dir_all(root).unwrap();
    }
}
