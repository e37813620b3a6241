"""Python's runner: does what requests on standard input say, see README.md of this folder."""

from __future__ import annotations

import base64
import json
import os
import statistics
import struct
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import runwire
from google.protobuf import symbol_database
from google.protobuf.message import Message
from runwire.registry import ModelChange, ModelWatcher
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

Answer = dict[str, Any]

CAPABILITIES = ["runs", "search", "writer", "files", "streams", "registry", "watcher", "tls"]
MASK = (1 << 64) - 1
FIRST_MICROS = 1_700_000_000_000_000


class Runner:
    """One client, and the writers and watchers that belong to it."""

    def __init__(self) -> None:
        self._client: runwire.Client | None = None
        self._writers: dict[str, Any] = {}
        self._watchers: dict[str, _Watcher] = {}

    def answer(self, op: str, args: Answer) -> Answer:
        """``{"ok": …}`` or ``{"error": …}``."""
        try:
            return {"ok": getattr(self, f"op_{op}")(**args)}
        except runwire.RunwireError as error:
            return {"error": told(error)}

    @property
    def client(self) -> runwire.Client:
        assert self._client is not None, "connect comes first"
        return self._client

    def op_hello(self) -> Answer:
        return {
            "language": "python",
            "version": runwire.__version__,
            "transport": "grpc",
            "capabilities": CAPABILITIES,
        }

    def op_connect(self, uri: str, token: str = "", timeout_s: float = 30) -> Answer:
        self.close()
        os.environ["RUNWIRE_TOKEN"] = token
        runwire.set_tracking_uri(uri)
        self._client = runwire.Client(uri, timeout_s=timeout_s)
        return {}

    def close(self) -> None:
        for watcher in self._watchers.values():
            watcher.models.close()
        self._watchers.clear()
        if self._client is not None:
            self._client.close()

    def op_server_info(self) -> Answer:
        return _message(self.client.server_info())

    # Runs -------------------------------------------------------------------------

    def op_create_run(
        self,
        experiment_name: str,
        name: str = "",
        params: dict[str, str] | None = None,
        tags: dict[str, str] | None = None,
    ) -> Answer:
        made = self.client.runs.create(
            experiment_name=experiment_name, name=name, params=params or {}, tags=tags or {}
        )
        return _message(made)

    def op_get_run(self, run_id: str, timeout_s: float | None = None) -> Answer:
        if timeout_s is None:
            return _message(self.client.runs.get(run_id))
        with runwire.Client(self.client.tracking_uri, timeout_s=timeout_s) as hasty:
            return _message(hasty.runs.get(run_id))

    def op_log_params(self, run_id: str, params: dict[str, str]) -> Answer:
        return self._log(run_id, MetricBatch(params=params))

    def op_log_tags(self, run_id: str, tags: dict[str, str]) -> Answer:
        return self._log(run_id, MetricBatch(tags=tags))

    def op_log_metrics(self, run_id: str, metrics: list[Answer]) -> Answer:
        batch = MetricBatch()
        for number, one in enumerate(metrics, 1):
            batch.series.append(SeriesName(id=number, key=one["key"]))
            batch.frames.append(
                Frame(
                    series=[number],
                    steps=[int(one["step"])],
                    times_micros=[time.time_ns() // 1000],
                    values=[value_of(one["bits"])],
                )
            )
        return self._log(run_id, batch)

    def _log(self, run_id: str, batch: MetricBatch) -> Answer:
        batch.sequence = 1
        logged = self.client.metrics.log_batch(run_id, batch, writer_id=os.urandom(16).hex())
        return {
            "rejections": [
                {"key": one.key, "reason": one.fault.reason} for one in logged.ack.rejections
            ]
        }

    def op_finish_run(self, run_id: str, state: str = "FINISHED") -> Answer:
        return _message(self.client.runs.finish(run_id, state))  # type: ignore[arg-type]

    def op_stop_run(self, run_id: str) -> Answer:
        """Only of this runner: what is done to a run by somebody else."""
        return _message(self.client.runs.stop(run_id))

    def op_search_runs(self, filter: str = "", order_by: str = "", page_size: int = 0) -> Answer:
        found = self.client.runs.search(filter=filter, order_by=order_by, page_size=page_size)
        return {"run_ids": [run.run_id for run in found]}

    # Writers: the fluent API, whose journal is sent by its uploader ---------------------

    def op_open_writer(self, run_id: str, **_: Any) -> Answer:
        run = runwire.start_run(run_id=run_id, nested=True)
        self._writers[run_id] = run
        return {"writer": run_id}

    def op_write(self, writer: str, points: list[Answer]) -> Answer:
        for one in points:
            value = {one["key"]: value_of(one["bits"])}
            self._writers[writer].log_row(value, int(one["step"]), int(one["time_micros"]))
        return {}

    def op_write_series(
        self, writer: str, key: str, count: int, seed: str, threads: int = 1
    ) -> Answer:
        run = self._writers[writer]

        def work(thread: int) -> None:
            for i in range(thread, count, threads):
                run.log_row({key: series_value(int(seed), i)}, i, FIRST_MICROS + i)

        workers = [threading.Thread(target=work, args=[number]) for number in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return {}

    def op_flush(self, writer: str, timeout_s: float = 120) -> Answer:
        if not runwire.flush(timeout_s):
            raise runwire.DeadlineExceededError("not everything was acknowledged in time")
        return {}

    def op_writer_status(self, writer: str) -> Answer:
        return {
            "stop_requested": self._writers[writer].stop_requested,
            "dropped_points": "0",
            "rejections": [],
            "writer_id": "",
            "error": None,
        }

    def op_close_writer(self, writer: str, timeout_s: float = 120) -> Answer:
        self.op_flush(writer, timeout_s)
        del self._writers[writer]
        return {}

    # Artifacts --------------------------------------------------------------------

    def op_upload(self, run_id: str, path: str, file: str) -> Answer:
        seen: list[int] = []
        self.client.artifacts.put(
            run_id, Path(file), path, progress=lambda done, total: seen.append(done)
        )
        return self._stored(run_id, path) | {"progress": [seen[0], seen[-1]]}

    def op_upload_data(self, run_id: str, path: str, data: str) -> Answer:
        self.client.artifacts.put(run_id, base64.b64decode(data), path)
        return self._stored(run_id, path)

    def op_download(self, run_id: str, path: str, file: str) -> Answer:
        seen: list[int] = []
        folder = Path(file).parent / os.urandom(8).hex()
        got = self.client.artifacts.get(
            run_id, path, folder, progress=lambda done, total: seen.append(done)
        )
        got.replace(file)
        return self._stored(run_id, path) | {"progress": [seen[0], seen[-1]]}

    def op_download_data(self, run_id: str, path: str) -> Answer:
        with closing(self.client.artifacts.download(run_id, path)) as download:
            return {"data": base64.b64encode(download.read()).decode()}

    def op_list_artifacts(self, run_id: str, prefix: str = "", recursive: bool = True) -> Answer:
        found = self.client.artifacts.list(run_id, prefix, recursive=recursive)
        return {"paths": [one.path for one in found]}

    def _stored(self, run_id: str, path: str) -> Answer:
        (found,) = self.client.artifacts.list(run_id, path, recursive=True)
        return {"digest": found.blob.digest, "size": str(found.blob.size_bytes)}

    # Registry ---------------------------------------------------------------------

    def op_create_model(self, name: str) -> Answer:
        return _message(self.client.models.create(name))

    def op_create_version(
        self, model: str, run_id: str, artifact_path: str = "", aliases: list[str] | None = None
    ) -> Answer:
        made = self.client.models.create_version(
            model, source_run_id=run_id, source_path=artifact_path, aliases=aliases or []
        )
        return _message(made)

    def op_set_alias(
        self, model: str, alias: str, version: str, expected_version: str | None = None
    ) -> Answer:
        expected = None if expected_version is None else int(expected_version)
        self.client.models.set_alias(model, alias, int(version), expected_version=expected)
        return {}

    def op_resolve(self, references: list[str]) -> Answer:
        answer = self.client.models.resolve_all(references)
        return {
            "resolved": [
                {
                    "reference": one.reference,
                    "version": None if one.HasField("fault") else str(one.model_version.version),
                    "reason": one.fault.reason or None,
                }
                for one in answer.resolved
            ]
        }

    def op_open_watcher(self, references: list[str]) -> Answer:
        name = f"watcher-{len(self._watchers)}"
        self._watchers[name] = _Watcher(self.client.tracking_uri, references)
        return {"watcher": name}

    def op_watcher_wait(
        self, watcher: str, reference: str, version: str, timeout_s: float = 120
    ) -> Answer:
        return {"changes": self._watchers[watcher].wait(reference, version, timeout_s)}

    def op_watcher_get(self, watcher: str, reference: str) -> Answer:
        return {"version": str(self._watchers[watcher].models.get(reference).version)}

    def op_watcher_status(self, watcher: str) -> Answer:
        return {"connected": self._watchers[watcher].models.connected}

    def op_close_watcher(self, watcher: str) -> Answer:
        self._watchers.pop(watcher).models.close()
        return {}

    # The rest ---------------------------------------------------------------------

    def op_reserialize(self, type: str, message: str) -> Answer:
        kind = symbol_database.Default().GetSymbol(type)
        return _message(kind.FromString(base64.b64decode(message)))

    def op_bench_log(self, run_id: str, calls: int, keys: int) -> Answer:
        run = runwire.start_run(run_id=run_id, nested=True)
        values = {f"key/{number}": float(number) for number in range(keys)}
        took, start = [], time.perf_counter()
        for step in range(calls):
            before = time.perf_counter_ns()
            run.log_metrics(values, step)
            took.append(time.perf_counter_ns() - before)
        self.op_flush(run_id, 300)
        seconds = time.perf_counter() - start
        took.sort()
        return {
            "call_ns": took[calls // 2],
            "call_p99_ns": took[calls * 99 // 100],
            "seconds": seconds,
        }

    def op_bench_resolve(self, reference: str, calls: int) -> Answer:
        return _timed(calls, lambda: self.client.models.resolve(reference))

    def op_bench_read(self, run_id: str, calls: int) -> Answer:
        return _timed(calls, lambda: self.client.runs.get(run_id))


class _Watcher:
    def __init__(self, uri: str, references: list[str]):
        self._changes: list[Answer] = []
        self._told = threading.Condition()
        self.models = ModelWatcher(references, uri=uri, on_change=self._hear)

    def _hear(self, change: ModelChange) -> None:
        with self._told:
            version = None if change.now is None else str(change.now.version)
            self._changes.append({"reference": change.reference, "version": version})
            self._told.notify_all()

    def wait(self, reference: str, version: str, timeout_s: float) -> list[Answer]:
        due = {"reference": reference, "version": version}
        with self._told:
            if not self._told.wait_for(lambda: due in self._changes, timeout_s):
                raise runwire.DeadlineExceededError(f"{due} was not told: {self._changes}")
            return list(self._changes)


def told(error: runwire.RunwireError) -> Answer:
    return {
        "code": error.code_name,
        "reason": error.reason,
        "metadata": error.metadata,
        "message": error.message,
        "retry_after_s": error.retry_after_s,
    }


def value_of(bits: str) -> float:
    value: float = struct.unpack(">d", bytes.fromhex(bits))[0]
    return value


def series_value(seed: int, i: int) -> float:
    """Point i of the series of a seed."""
    z = (seed + (i + 1) * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return float((z ^ (z >> 31)) >> 11) * 2.0**-53


def _message(message: Message) -> Answer:
    data = message.SerializeToString(deterministic=True)
    return {"message": base64.b64encode(data).decode()}


def _timed(calls: int, call: Callable[[], object]) -> Answer:
    took = []
    for _ in range(calls):
        start = time.perf_counter()
        call()
        took.append(1e6 * (time.perf_counter() - start))
    took.sort()
    return {"p50_us": statistics.median(took), "p99_us": took[calls * 99 // 100]}


def main() -> None:
    runner = Runner()
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = runner.answer(request["op"], request["args"])
        except Exception as error:  # a fault of the runner, which the suite must see
            answer = {"error": {"code": "RUNNER", "message": repr(error)}}
        sys.stdout.write(json.dumps({"id": request["id"], **answer}) + "\n")
        sys.stdout.flush()
    runner.close()


if __name__ == "__main__":
    main()
