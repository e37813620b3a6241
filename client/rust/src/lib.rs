//! Runwire's client: experiment tracking, artifacts and a model registry over gRPC.
//!
//! ```no_run
#![doc = include_str!("../example/quickstart.rs")]
//! ```
//!
//! | what | where |
//! |---|---|
//! | a server | [`Client`] |
//! | runs: make, find, finish | [`Client::runs`] |
//! | metrics from a training loop | [`Client::writer`] |
//! | metrics to read | [`Client::metrics`] |
//! | files | [`Client::artifacts`] |
//! | models, versions, aliases | [`Client::models`] |
//! | what an alias means, in memory | [`Client::model_watcher`] |
//! | any other call of the API | [`Client::call`], [`Client::stream`], [`Client::connection`] |
//! | a program without a runtime | [`block_on`] |
//!
//! Calls run on any tokio runtime with timers; the network itself has a thread of its own.
//! Every call fails with an [`Error`], which has a gRPC [`Code`] and a reason.
//!
//! # Features
//!
//! `tls-native-roots` (default) for `grpcs://` and `https://` with the system's certificate
//! authorities, `tls-webpki-roots` with those of Mozilla; without both there is no TLS.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod artifact;
mod background;
mod caller;
mod client;
mod connection;
mod discover;
mod error;
mod events;
mod headers;
mod metric;
mod model;
mod pages;
mod random;
mod retry;
mod rpc;
mod run;
mod settings;
mod status;
mod time;
#[cfg(feature = "_tls")]
mod tls;
mod uri;
pub mod v1;
mod watcher;
mod writer;

pub use artifact::{Artifacts, Download, DownloadBytes, Source, Stored, Upload};
pub use background::block_on;
pub use caller::Responses;
pub use client::{Client, ClientBuilder};
pub use connection::Connection;
pub use error::{Code, Error, Result};
pub use metric::{Metrics, Series};
pub use model::{CreateVersion, Models, SetAlias};
pub use pages::Pages;
pub use rpc::{Rpc, StreamingRpc};
pub use run::{CreateRun, Runs, SearchRuns};
pub use watcher::{ModelChange, ModelWatcher, WatcherBuilder};
pub use writer::{Event, WhenFull, Writer, WriterBuilder};
