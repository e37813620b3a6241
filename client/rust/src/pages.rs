//! Lists that fetch their pages as they are read.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_core::Stream;

use crate::Result;

type Page<T> = (Vec<T>, String);
type Fetching<T> = Pin<Box<dyn Future<Output = Result<Page<T>>> + Send>>;

/// The items of a list, page after page. Nothing is asked before it is polled.
///
/// It is a [`Stream`]; [`try_next`](Self::try_next) needs no other crate:
///
/// ```no_run
/// # async fn example(client: runwire::Client) -> runwire::Result<()> {
/// let mut runs = client.runs().search().filter("metrics.loss < 0.1").pages();
/// while let Some(run) = runs.try_next().await? {
///     println!("{}", run.name);
/// }
/// # Ok(())
/// # }
/// ```
pub struct Pages<T> {
    fetch: Box<dyn Fn(String) -> Fetching<T> + Send>,
    items: VecDeque<T>,
    next: Next<T>,
}

enum Next<T> {
    Token(String),
    Fetching(Fetching<T>),
    Nothing,
}

impl<T> Pages<T> {
    pub(crate) fn new<F>(fetch: impl Fn(String) -> F + Send + 'static) -> Self
    where
        F: Future<Output = Result<Page<T>>> + Send + 'static,
    {
        let fetch = Box::new(move |token| Box::pin(fetch(token)) as Fetching<T>);
        Self {
            fetch,
            items: VecDeque::new(),
            next: Next::Token(String::new()),
        }
    }

    /// The next item; None after the last.
    pub async fn try_next(&mut self) -> Result<Option<T>>
    where
        T: Unpin,
    {
        try_next(self).await
    }

    /// All that are left.
    pub async fn all(mut self) -> Result<Vec<T>>
    where
        T: Unpin,
    {
        let mut items = Vec::new();
        while let Some(item) = self.try_next().await? {
            items.push(item);
        }
        Ok(items)
    }

    fn poll_page(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<()>>> {
        if let Next::Token(token) = &mut self.next {
            self.next = Next::Fetching((self.fetch)(std::mem::take(token)));
        }
        let Next::Fetching(fetching) = &mut self.next else {
            return Poll::Ready(None);
        };
        let fetched = ready!(fetching.as_mut().poll(context));
        self.next = Next::Nothing;
        Poll::Ready(Some(fetched.map(|(items, token)| {
            self.items = items.into();
            if !token.is_empty() {
                self.next = Next::Token(token);
            }
        })))
    }
}

impl<T: Unpin> Stream for Pages<T> {
    type Item = Result<T>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<T>>> {
        loop {
            if let Some(item) = self.items.pop_front() {
                return Poll::Ready(Some(Ok(item)));
            }
            match ready!(self.poll_page(context)) {
                Some(Ok(())) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<T> std::fmt::Debug for Pages<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages")
            .field("fetched", &self.items.len())
            .finish_non_exhaustive()
    }
}

pub(crate) async fn try_next<S, T>(stream: &mut S) -> Result<Option<T>>
where
    S: Stream<Item = Result<T>> + Unpin,
{
    poll_fn(|context| Pin::new(&mut *stream).poll_next(context))
        .await
        .transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;

    fn numbers(fails_at: Option<usize>) -> Pages<usize> {
        Pages::new(move |token| async move {
            let page: usize = token.parse().unwrap_or(0);
            match page {
                _ if Some(page) == fails_at => Err(Error::unavailable("")),
                1 => Ok((vec![], "2".into())),
                2 => Ok((vec![4], String::new())),
                _ => Ok((vec![0, 1, 2, 3], "1".into())),
            }
        })
    }

    #[tokio::test]
    async fn pages_are_read_to_the_last_and_empty_ones_passed_over() {
        assert_eq!(numbers(None).all().await.unwrap(), [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn failure_ends_a_list_after_what_was_read() {
        let mut pages = numbers(Some(1));
        for expected in 0..4 {
            assert_eq!(pages.try_next().await.unwrap(), Some(expected));
        }
        assert!(pages.try_next().await.is_err());
        assert_eq!(pages.try_next().await.unwrap(), None);
    }
}
