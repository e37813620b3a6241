import { Shape, type Values } from "./shape.js";
import { checkKey } from "./utf8.js";

interface Node {
  next: Map<string, Node>;
  shape: Shape | undefined;
}

const newNode = (): Node => ({ next: new Map(), shape: undefined });

/** The sets of keys that a writer has met, and the number of each key. */
export class Shapes {
  /** So many sets are remembered: who logs another one each time keeps no memory of them. */
  static readonly MOST = 10_000;
  #made = 0;
  #root = newNode();
  readonly #single = new Map<string, Shape>();
  readonly #ids = new Map<string, number>();
  readonly #keys: string[] = [""];

  /** Of a map of values, by the order of its keys. */
  of(values: Values): Shape {
    let node = this.#root;
    for (const key in values) {
      let next = node.next.get(key);
      if (next === undefined) node.next.set(key, (next = newNode()));
      node = next;
    }
    return (node.shape ??= this.#make(Object.keys(values)));
  }

  /** Of one key. */
  ofOne(key: string): Shape {
    let shape = this.#single.get(key);
    if (shape === undefined) this.#single.set(key, (shape = this.#make([key])));
    return shape;
  }

  /** The key of an id. */
  key(id: number): string {
    return this.#keys[id] ?? "";
  }

  #make(keys: readonly string[]): Shape {
    if (++this.#made > Shapes.MOST) this.#forget();
    return new Shape(
      keys,
      keys.map((key) => this.#id(key)),
    );
  }

  #forget(): void {
    this.#made = 0;
    this.#root = newNode();
    this.#single.clear();
  }

  #id(key: string): number {
    let id = this.#ids.get(key);
    if (id === undefined) {
      checkKey(key);
      id = this.#keys.push(key) - 1;
      this.#ids.set(key, id);
    }
    return id;
  }
}
