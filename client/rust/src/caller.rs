//! One door to the services: deadlines, retries, typed errors.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_core::Stream;
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tonic::Request;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::connection::Connection;
use crate::pages::try_next;
use crate::retry::Retry;
use crate::rpc::{Rpc, StreamingRpc, is_repeatable};
use crate::status::deadline_exceeded;
use crate::{Error, Result};

const MAX_MESSAGE_BYTES: usize = 16 << 20;

/// Calls over one connection; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub connection: Connection,
    pub timeout: Duration,
    pub workspace: String,
}

impl Caller {
    /// One response, within the timeout, all attempts together.
    pub async fn call<R: Rpc>(&self, request: R) -> Result<R::Response> {
        let deadline = Instant::now() + self.timeout;
        let mut retry = Retry::new(Some(deadline));
        loop {
            match self
                .attempt::<R, _>(R::PATH, request.clone(), deadline)
                .await
            {
                Err(error) if is_repeatable(R::PATH) => retry.wait(error).await?,
                answer => return answer,
            }
        }
    }

    /// As `call`, once.
    pub async fn call_once<R: Rpc>(&self, request: R) -> Result<R::Response> {
        self.attempt::<R, _>(R::PATH, request, Instant::now() + self.timeout)
            .await
    }

    /// A request in a form of its own, in one attempt; answered as one of type `R`.
    pub async fn attempt<R: Rpc, M>(
        &self,
        path: &'static str,
        message: M,
        deadline: Instant,
    ) -> Result<R::Response>
    where
        M: Message + 'static,
    {
        let mut request = Request::new(message);
        request.set_timeout(deadline.saturating_duration_since(Instant::now()));
        let codec = ProstCodec::<M, R::Response>::default();
        let mut grpc = self.grpc();
        let call = grpc.unary(request, PathAndQuery::from_static(path), codec);
        match timeout_at(deadline, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(deadline_exceeded()),
        }
    }

    /// The responses as they come, without a deadline; ended by dropping them.
    pub async fn stream<R: StreamingRpc>(&self, request: R) -> Result<Responses<R::Response>> {
        let codec = ProstCodec::<R, R::Response>::default();
        let path = PathAndQuery::from_static(R::PATH);
        let answer = self
            .grpc()
            .server_streaming(Request::new(request), path, codec)
            .await?;
        Ok(Responses(answer.into_inner()))
    }

    /// Messages both ways, without a deadline; ended by dropping the responses.
    pub async fn bidirectional<S, M>(&self, path: &'static str, requests: S) -> Result<Responses<M>>
    where
        S: Stream<Item: Message + 'static> + Send + 'static,
        M: Message + Default + 'static,
    {
        let codec = ProstCodec::<S::Item, M>::default();
        let path = PathAndQuery::from_static(path);
        let answer = self
            .grpc()
            .streaming(Request::new(requests), path, codec)
            .await?;
        Ok(Responses(answer.into_inner()))
    }

    /// A stream of requests and one response.
    pub async fn client_streaming<S, M>(&self, path: &'static str, requests: S) -> Result<M>
    where
        S: Stream<Item: Message + 'static> + Send + 'static,
        M: Message + Default + 'static,
    {
        let codec = ProstCodec::<S::Item, M>::default();
        let mut grpc = self.grpc();
        let call = grpc.client_streaming(
            Request::new(requests),
            PathAndQuery::from_static(path),
            codec,
        );
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(deadline_exceeded()),
        }
    }

    /// The workspace of a request that may name one.
    pub fn workspace(&self, asked: &str) -> String {
        if asked.is_empty() {
            self.workspace.clone()
        } else {
            asked.to_owned()
        }
    }

    /// Of a server that is away.
    #[cfg(test)]
    pub fn away() -> Self {
        let target = crate::uri::Target::parse("grpc://127.0.0.1:1").unwrap();
        Self {
            connection: Connection::new(target, Default::default(), Default::default()),
            timeout: Duration::from_secs(30),
            workspace: String::new(),
        }
    }

    fn grpc(&self) -> Grpc<Connection> {
        Grpc::new(self.connection.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}

/// Responses of a call as they come. Dropping it cancels the call.
#[derive(Debug)]
pub struct Responses<T>(tonic::Streaming<T>);

impl<T> Responses<T> {
    /// The next one; None after the last.
    pub async fn try_next(&mut self) -> Result<Option<T>> {
        try_next(self).await
    }
}

impl<T> Stream for Responses<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        Pin::new(&mut self.0)
            .poll_next(context)
            .map_err(Error::from)
    }
}
