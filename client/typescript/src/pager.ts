/** A response of a list. */
export interface Page {
  /** Where the next one starts. Empty: it was the last one. */
  nextPageToken: string;
}

/**
 * A list that fetches its pages as it is read: iterate over the items, or over `pages()`. Nothing
 * is asked before, and each iteration starts anew.
 */
export class Pager<T, P extends Page> implements AsyncIterable<T> {
  readonly #fetch: (pageToken: string) => Promise<P>;
  readonly #items: (page: P) => readonly T[];
  readonly #pageToken: string;

  /** @internal */
  constructor(
    fetch: (pageToken: string) => Promise<P>,
    items: (page: P) => readonly T[],
    pageToken = "",
  ) {
    this.#fetch = fetch;
    this.#items = items;
    this.#pageToken = pageToken;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T, void, void> {
    for await (const page of this.pages()) yield* this.#items(page);
  }

  /** The pages as the service sends them. */
  async *pages(): AsyncGenerator<P, void, void> {
    for (let token = this.#pageToken; ;) {
      const page = await this.#fetch(token);
      yield page;
      token = page.nextPageToken;
      if (!token) return;
    }
  }

  /** All items at once. */
  async toArray(): Promise<T[]> {
    const found: T[] = [];
    for await (const item of this) found.push(item);
    return found;
  }
}
