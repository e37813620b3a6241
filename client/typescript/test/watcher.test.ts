import assert from "node:assert/strict";
import { test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { ModelChange } from "../src/watcher/announcer.js";
import { Bell } from "../src/writer/bell.js";
import {
  RegistryService,
  type ResolveModelsResponseSchema,
  type WatchModelsRequest,
  type WatchModelsResponseSchema,
} from "../src/v1/registry_service_pb.js";
import { TestClient } from "./server.js";

/** A registry of one alias. */
class Registry {
  version = 0;
  revision = 0n;
  isAway = false;
  expires = false;
  watches: (bigint | undefined)[] = [];
  readonly news = new Bell();

  move(version: number): void {
    this.version = version;
    this.revision += 1n;
    this.news.ring();
  }

  away(isAway: boolean): void {
    this.isAway = isAway;
    this.news.ring();
  }

  readonly client = new TestClient(({ service }) =>
    service(RegistryService, {
      resolveModels: ({ references }) => this.#resolve(references),
      watchModels: (request) => this.#watch(request),
    }),
  );

  #resolve(references: string[]): MessageInitShape<typeof ResolveModelsResponseSchema> {
    if (this.isAway) throw new ConnectError("away", Code.Unavailable);
    const resolved = references.map((reference) =>
      this.version === 0
        ? { reference, fault: { reason: "NOT_FOUND", message: "no such alias" } }
        : { reference, modelVersion: { model: "m", version: BigInt(this.version) } },
    );
    return { resolved, revision: this.revision };
  }

  async *#watch(
    request: WatchModelsRequest,
  ): AsyncGenerator<MessageInitShape<typeof WatchModelsResponseSchema>> {
    const { start } = request;
    this.watches.push(start.case === "afterRevision" ? start.value : undefined);
    if (this.isAway) throw new ConnectError("away", Code.Unavailable);
    if (this.expires && start.case) {
      this.expires = false;
      yield { event: { case: "expired", value: {} } };
      return;
    }
    yield { event: { case: "mark", value: {} }, revision: this.revision };
    for (;;) {
      await this.news.wait();
      if (this.isAway) throw new ConnectError("away", Code.Aborted);
      yield { event: { case: "change", value: {} }, revision: this.revision };
    }
  }
}

/** Resolves when the callback has told this version. */
function told() {
  const changes: ModelChange[] = [];
  const bell = new Bell();
  const onChange = (change: ModelChange): void => {
    changes.push(change);
    bell.ring();
  };
  const version = async (wanted: number | undefined): Promise<void> => {
    while (changes.at(-1)?.now?.version !== (wanted && BigInt(wanted))) await bell.wait();
  };
  return { changes, onChange, version };
}

test("a watcher answers from memory, and tells every change", async () => {
  const registry = new Registry();
  const { changes, onChange, version } = told();
  await using models = registry.client.watchModels(["m@champion"], { onChange });
  assert.throws(() => models.get("m@champion"), { code: "UNAVAILABLE" });
  assert.ok(await models.ready({ timeoutMs: 60_000 }));
  assert.throws(() => models.get("m@champion"), { code: "NOT_FOUND" });
  assert.throws(() => models.get("m@other"), { code: "INVALID_ARGUMENT" });
  registry.move(1);
  await version(1);
  assert.equal(models.get("m@champion").version, 1n);
  registry.move(2);
  await version(2);
  assert.deepEqual(changes.at(-1)?.before?.version, 1n);
  assert.ok(models.connected);
  assert.ok(models.ageMs! < 60_000);
});

test("the last answers stay while the server is away, and it goes on from there", async () => {
  const registry = new Registry();
  registry.move(1);
  const { onChange, version } = told();
  await using models = registry.client.watchModels(["m@champion"], { onChange });
  await version(1);
  registry.away(true);
  while (models.connected) await new Promise((resolve) => setTimeout(resolve));
  assert.equal(models.get("m@champion").version, 1n);
  registry.isAway = false;
  registry.expires = true;
  registry.move(3);
  await version(3);
  assert.equal(registry.watches[1], 1n);
});

test("what changes while a callback runs is told as it is in the end", async () => {
  const registry = new Registry();
  registry.move(1);
  const seen: (bigint | undefined)[] = [];
  let release = (): void => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const last = new Bell();
  await using models = registry.client.watchModels(["m@champion"], {
    onChange: async ({ now }) => {
      seen.push(now?.version);
      if (seen.length === 1) await held;
      last.ring();
    },
  });
  await models.ready();
  for (const version of [2, 3, 4]) {
    registry.move(version);
    while (models.get("m@champion").version !== BigInt(version)) {
      await new Promise((resolve) => setTimeout(resolve));
    }
  }
  release();
  while (seen.length < 2) await last.wait();
  assert.deepEqual(seen, [1n, 4n]);
});

test("waiting for answers ends in time, or with a signal", async () => {
  const registry = new Registry();
  registry.isAway = true;
  await using models = registry.client.watchModels(["m@champion"]);
  assert.equal(await models.ready({ timeoutMs: 1 }), false);
  const signal = AbortSignal.timeout(1);
  await assert.rejects(models.ready({ signal }), { code: "CANCELLED" });
});

test("what can never mean anything is refused", () => {
  const { client } = new Registry();
  for (const references of [[], ["champion"], ["@champion"], ["m@"]]) {
    assert.throws(() => client.watchModels(references), { code: "INVALID_ARGUMENT" });
  }
});

test("waiting for answers may take as long as anybody likes", async () => {
  const registry = new Registry();
  registry.isAway = true;
  await using models = registry.client.watchModels(["m@champion"]);
  const waiting = [Infinity, 2 ** 31].map((timeoutMs) => models.ready({ timeoutMs }));
  await new Promise((resolve) => setTimeout(resolve, 5)); // a timer that overflows has fired by then
  registry.isAway = false;
  assert.deepEqual(await Promise.all(waiting), [true, true]);
});

test("answers that do not fit one message are asked for by themselves", async () => {
  const asked: string[][] = [];
  const fault = { reason: "TOO_LARGE", message: "too large" };
  const client = new TestClient(({ service }) =>
    service(RegistryService, {
      resolveModels: ({ references }) => {
        asked.push(references);
        if (asked.length > 4) throw new ConnectError("enough", Code.FailedPrecondition);
        const resolved = references.map((reference, place) =>
          place > 0 || reference === "huge@x"
            ? { reference, fault }
            : { reference, modelVersion: { model: reference, version: 1n } },
        );
        return { resolved, revision: 1n };
      },
      async *watchModels(_, { signal }) {
        yield { event: { case: "mark" as const, value: {} }, revision: 1n };
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      },
    }),
  );
  await using models = client.watchModels(["a@x", "b@x", "c@x", "huge@x"]);
  assert.ok(await models.ready({ timeoutMs: 5000 }));
  for (const reference of ["a@x", "b@x", "c@x"]) {
    assert.equal(models.get(reference).model, reference);
  }
  assert.throws(() => models.get("huge@x"), { reason: "TOO_LARGE" });
  assert.deepEqual(asked.at(-1), ["huge@x"]);
});
