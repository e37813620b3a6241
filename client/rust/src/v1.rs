//! The messages and stubs of the API, generated from `protos/runwire/v1`.
//!
//! Requests are plain structs; what is left out of one has its default:
//!
//! ```
//! use runwire::v1::GetRunRequest;
//!
//! let request = GetRunRequest { run_id: "0".repeat(32), ..Default::default() };
//! ```
//!
//! [`Client::call`](crate::Client::call) sends any of them with deadline, retries and typed errors;
//! the stubs, such as [`run_service_client::RunServiceClient`], take
//! [`Client::connection`](crate::Client::connection) and give what tonic gives.
#![allow(missing_docs, clippy::all, rustdoc::all)]

include!("v1/runwire.v1.rs"); // which includes runwire.v1.tonic.rs
