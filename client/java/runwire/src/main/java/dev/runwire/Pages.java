package dev.runwire;

import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.function.Function;

/** A list that is fetched page by page, as it is walked through. */
final class Pages<P, T> implements Iterable<T> {
  private final Function<String, P> fetch;
  private final Function<P, List<T>> items;
  private final Function<P, String> nextToken;

  Pages(Function<String, P> fetch, Function<P, List<T>> items, Function<P, String> nextToken) {
    this.fetch = fetch;
    this.items = items;
    this.nextToken = nextToken;
  }

  @Override
  public Iterator<T> iterator() {
    return new Iterator<>() {
      private Iterator<T> page = List.<T>of().iterator();
      private String token = "";
      private boolean isLast;

      @Override
      public boolean hasNext() {
        while (!page.hasNext() && !isLast) {
          P fetched = fetch.apply(token);
          page = items.apply(fetched).iterator();
          token = nextToken.apply(fetched);
          isLast = token.isEmpty();
        }
        return page.hasNext();
      }

      @Override
      public T next() {
        if (!hasNext()) {
          throw new NoSuchElementException();
        }
        return page.next();
      }
    };
  }
}
