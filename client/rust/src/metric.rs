//! Metrics that were written, as plain columns.

use crate::Result;
use crate::caller::Caller;
use crate::pages::Pages;
use crate::retry::Retry;
use crate::v1::read_series_response::Data;
use crate::v1::{
    ListSeriesRequest, ReadSeriesRequest, ReadSeriesResponse, SeriesInfo, SeriesSelector,
};

/// The readers of a [`Client`](crate::Client).
#[derive(Clone, Debug)]
pub struct Metrics {
    caller: Caller,
}

/// The points of one series, by (step, time, arrival), in three columns of one length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Series {
    /// Which run.
    pub run_id: String,
    /// Which series of it.
    pub key: String,
    /// As they were written.
    pub steps: Vec<i64>,
    /// Unix time in microseconds.
    pub times_micros: Vec<i64>,
    /// As they were written, bit for bit.
    pub values: Vec<f64>,
}

impl Metrics {
    pub(crate) fn new(caller: Caller) -> Self {
        Self { caller }
    }

    /// Every point of these series of a run, by key; without keys, of all of them. What was
    /// acknowledged before is there. NOT_FOUND, DELETED.
    ///
    /// ```no_run
    /// # async fn example(client: runwire::Client) -> runwire::Result<()> {
    /// for series in client.metrics().read("0123", ["loss"]).await? {
    ///     println!("{}: {:?}", series.key, series.values.last());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn read<K: Into<String>>(
        &self,
        run_id: &str,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Series>> {
        let keys = keys.into_iter().map(Into::into).collect();
        let select = SeriesSelector {
            run_ids: vec![run_id.into()],
            keys,
            ..Default::default()
        };
        let mut series = Vec::new();
        let request = ReadSeriesRequest {
            select: Some(select),
            ..Default::default()
        };
        self.read_each(request, |response| collect(&mut series, response))
            .await?;
        Ok(series)
    }

    /// Any read, of many runs or reduced to a picture, response by response as they come.
    pub async fn read_each(
        &self,
        request: ReadSeriesRequest,
        mut each: impl FnMut(ReadSeriesResponse),
    ) -> Result<()> {
        let mut request = request;
        let mut retry = Retry::new(None);
        loop {
            match self.read_on(&mut request, &mut retry, &mut each).await {
                Err(error) => retry.wait(error).await?,
                Ok(()) => return Ok(()),
            }
        }
    }

    /// One call of a read; where it is cut, `request` says where the next one goes on.
    async fn read_on(
        &self,
        request: &mut ReadSeriesRequest,
        retry: &mut Retry,
        each: &mut impl FnMut(ReadSeriesResponse),
    ) -> Result<()> {
        let mut responses = self.caller.stream(request.clone()).await?;
        while let Some(response) = responses.try_next().await? {
            *retry = Retry::new(None);
            request.resume = response.resume.clone();
            each(response);
        }
        Ok(())
    }

    /// The series of a run with their statistics, by key; only those whose key begins with a prefix.
    pub fn list(&self, run_id: &str, key_prefix: &str) -> Pages<SeriesInfo> {
        let caller = self.caller.clone();
        let request = ListSeriesRequest {
            run_id: run_id.into(),
            key_prefix: key_prefix.into(),
            ..Default::default()
        };
        Pages::new(move |page_token| {
            let (caller, request) = (
                caller.clone(),
                ListSeriesRequest {
                    page_token,
                    ..request.clone()
                },
            );
            async move {
                let page = caller.call(request).await?;
                Ok((page.series, page.next_page_token))
            }
        })
    }
}

/// Several responses may carry one series, one after the other.
fn collect(series: &mut Vec<Series>, response: ReadSeriesResponse) {
    let goes_on = |last: &Series| last.run_id == response.run_id && last.key == response.key;
    if !series.last().is_some_and(goes_on) {
        series.push(Series {
            run_id: response.run_id,
            key: response.key,
            ..Default::default()
        });
    }
    if let (Some(last), Some(Data::Points(points))) = (series.last_mut(), response.data) {
        last.steps.extend(points.steps);
        last.times_micros.extend(points.times_micros);
        last.values.extend(points.values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::read_series_response::Points;

    fn response(key: &str, steps: &[i64]) -> ReadSeriesResponse {
        let values = steps.iter().map(|step| *step as f64).collect();
        let points = Points {
            steps: steps.into(),
            times_micros: steps.into(),
            values,
        };
        ReadSeriesResponse {
            key: key.into(),
            data: Some(Data::Points(points)),
            ..Default::default()
        }
    }

    #[test]
    fn responses_of_one_series_become_one() {
        let mut series = Vec::new();
        for one in [
            response("a", &[1, 2]),
            response("a", &[3]),
            response("b", &[]),
            response("c", &[4]),
        ] {
            collect(&mut series, one);
        }
        let found: Vec<_> = series
            .iter()
            .map(|one| (one.key.as_str(), one.steps.as_slice()))
            .collect();
        assert_eq!(found, [("a", &[1, 2, 3][..]), ("b", &[]), ("c", &[4])]);
    }
}
