//! Which runs are wanted.

use crate::caller::Caller;
use crate::pages::Pages;
use crate::v1::{Run, RunView, SearchRunsRequest};

/// Which runs are wanted; [`pages`](Self::pages) asks for them.
#[derive(Clone, Debug)]
#[must_use]
pub struct SearchRuns {
    pub(super) caller: Caller,
    pub(super) request: SearchRunsRequest,
}

impl SearchRuns {
    /// Only of this experiment; called again, also of another.
    pub fn experiment_id(mut self, id: impl Into<String>) -> Self {
        self.request.experiment_ids.push(id.into());
        self
    }

    /// For instance `metrics.loss < 0.1 AND params.lr = 0.01`.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.request.filter = filter.into();
        self
    }

    /// For instance `metrics.loss ASC, start_time DESC`. Else the newest first.
    pub fn order_by(mut self, order_by: impl Into<String>) -> Self {
        self.request.order_by = order_by.into();
        self
    }

    /// Runs that are asked for at once; 0: as the server likes.
    pub fn page_size(mut self, page_size: i32) -> Self {
        self.request.page_size = page_size;
        self
    }

    /// Also this of each run: `metrics.loss`, `params.lr`.
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.request.columns.push(column.into());
        self
    }

    /// Everything of each run, params, tags and metrics too.
    pub fn full(mut self) -> Self {
        self.request.view = RunView::Full.into();
        self
    }

    /// Also those in the trash.
    pub fn show_deleted(mut self) -> Self {
        self.request.show_deleted = true;
        self
    }

    /// The runs, as they are read. FILTER_SYNTAX then.
    pub fn pages(self) -> Pages<Run> {
        let Self {
            caller,
            mut request,
        } = self;
        request.workspace = caller.workspace(&request.workspace);
        Pages::new(move |page_token| {
            let (caller, request) = (
                caller.clone(),
                SearchRunsRequest {
                    page_token,
                    ..request.clone()
                },
            );
            async move {
                let page = caller.call(request).await?;
                Ok((page.runs, page.next_page_token))
            }
        })
    }
}
