//! Requests around batches that were serialised once: to the wire they are those of `runwire.v1`.

use bytes::Bytes;
use prost::Message;

use crate::v1::SeriesName;

/// `StreamBatchesRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StreamRequest {
    #[prost(message, optional, tag = "1")]
    pub open: Option<crate::v1::stream_batches_request::Open>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub batch: Option<Bytes>,
    #[prost(message, optional, tag = "3")]
    pub heartbeat: Option<crate::v1::stream_batches_request::Heartbeat>,
    #[prost(message, repeated, tag = "4")]
    pub series: Vec<SeriesName>,
}

/// `LogBatchRequest`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct UnaryRequest {
    #[prost(string, tag = "1")]
    pub run_id: String,
    #[prost(string, tag = "2")]
    pub writer_id: String,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub batch: Option<Bytes>,
    #[prost(message, repeated, tag = "4")]
    pub series: Vec<SeriesName>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{LogBatchRequest, MetricBatch, StreamBatchesRequest, stream_batches_request};

    #[test]
    fn requests_are_those_of_the_api() {
        let batch = MetricBatch {
            sequence: 7,
            ..Default::default()
        };
        let bytes = Some(Bytes::from(batch.encode_to_vec()));
        let series = vec![SeriesName {
            id: 1,
            key: "loss".into(),
        }];
        let sent = StreamRequest {
            batch: bytes.clone(),
            series: series.clone(),
            ..Default::default()
        };
        let message = Some(stream_batches_request::Message::Batch(batch.clone()));
        let expected = StreamBatchesRequest {
            message,
            series: series.clone(),
        };
        assert_eq!(
            StreamBatchesRequest::decode(&*sent.encode_to_vec()).unwrap(),
            expected
        );

        let (run_id, writer_id) = ("r".to_owned(), "w".to_owned());
        let sent = UnaryRequest {
            run_id: run_id.clone(),
            writer_id: writer_id.clone(),
            batch: bytes,
            series: series.clone(),
        };
        let expected = LogBatchRequest {
            run_id,
            writer_id,
            batch: Some(batch),
            series,
        };
        assert_eq!(
            LogBatchRequest::decode(&*sent.encode_to_vec()).unwrap(),
            expected
        );
    }
}
