//! Batch after batch in calls of their own, where no streams pass.

use std::collections::HashSet;

use tokio::time::{Instant, sleep_until};

use super::delivery::{Delivery, End, HEARTBEAT};
use super::wire::UnaryRequest;
use crate::Result;
use crate::rpc::Rpc;
use crate::v1::{GetWriterRequest, LogBatchRequest};

impl Delivery {
    pub(super) async fn send_unary(&mut self) -> Result<End> {
        let request = GetWriterRequest {
            run_id: self.run_id.clone(),
            writer_id: self.writer_id.clone(),
        };
        let found = self.caller.call_once(request).await?;
        self.located(found.committed_sequence)?;
        let until = Instant::now() + self.mistrust();
        let mut contact = Instant::now();
        while Instant::now() < until {
            let can_send = self.outbox.is_empty();
            self.collect(can_send);
            if self.is_done() {
                return Ok(End::Closed);
            }
            let pace = contact + self.min_interval();
            if !self.outbox.is_empty() && Instant::now() >= pace || contact.elapsed() >= HEARTBEAT {
                self.log_batch().await?;
                contact = Instant::now();
                continue;
            }
            let next = if self.outbox.is_empty() {
                self.due()
            } else {
                Some(pace)
            };
            let wake_at = next.unwrap_or(until).min(contact + HEARTBEAT).min(until);
            tokio::select! {
                () = self.shared.wake.notified() => {}
                () = sleep_until(wake_at) => {}
            }
        }
        Ok(End::Again)
    }

    /// Sends the first batch; without one, a heartbeat.
    async fn log_batch(&mut self) -> Result<()> {
        let first = self.outbox.committed() + 1;
        let request = UnaryRequest {
            run_id: self.run_id.clone(),
            writer_id: self.writer_id.clone(),
            series: self.outbox.undeclared(first, &mut HashSet::new()),
            batch: self.outbox.get(first).map(|batch| batch.bytes.clone()),
        };
        let deadline = Instant::now() + self.caller.timeout;
        let answer = self
            .caller
            .attempt::<LogBatchRequest, _>(LogBatchRequest::PATH, request, deadline)
            .await?;
        self.acknowledged(answer.ack.unwrap_or_default());
        self.heed(answer.advice.unwrap_or_default());
        Ok(())
    }
}
