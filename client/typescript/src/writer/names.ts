import type { Name } from "./encode.js";
import type { Sealed } from "./outbox.js";
import type { Shape } from "./shape.js";
import type { Shapes } from "./shapes.js";

/** What a server was told in one call: it remembers names no longer. */
export class ToldNames {
  readonly #names: Shapes;
  readonly #ids = new Set<number>();
  readonly #shapes = new WeakSet<Shape>();

  constructor(names: Shapes) {
    this.#names = names;
  }

  /** The names that a batch uses, and that neither it nor anything told before declares. */
  tell(batch: Sealed): Name[] {
    const beside: Name[] = [];
    for (const shape of batch.shapes) {
      if (this.#shapes.has(shape)) continue;
      this.#shapes.add(shape);
      for (const id of shape.ids) {
        if (this.#ids.has(id)) continue;
        this.#ids.add(id);
        if (!batch.declares.has(id)) beside.push({ id, key: this.#names.key(id) });
      }
    }
    return beside;
  }
}
