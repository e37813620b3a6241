"""The rows of ``scripts/bench``: what is measured, by which function, and its goals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import (
    anchors,
    artifact_cuts,
    artifact_folders,
    artifacts,
    clients,
    crash,
    creation,
    forks,
    ingest,
    live,
    logging_calls,
    reads,
    registry,
    search,
    shapes,
    stalls,
    start,
    storage,
)
from benchmarks.work import Work

Figures = dict[str, Any]
"""Name with its unit -> value. An anchor's name begins with ``anchor: ``."""


@dataclass(frozen=True)
class Goal:
    """A bound on one of a row's figures, which it names."""

    figure: str
    relation: str
    limit: float

    @classmethod
    def parse(cls, text: str) -> Goal:
        """Of ``FIGURE <= LIMIT`` or ``FIGURE >= LIMIT``."""
        figure, relation, limit = text.rsplit(" ", 2)
        return cls(figure, relation, float(limit))

    def met(self, figures: Figures) -> bool:
        value = figures[self.figure]
        return bool(value <= self.limit if self.relation == "<=" else value >= self.limit)


@dataclass(frozen=True)
class Row:
    what: str
    measure: Callable[[Work], Figures]
    goals: tuple[Goal, ...]


def row(what: str, measure: Callable[[Work], Figures], *goals: str) -> Row:
    return Row(what, measure, tuple(map(Goal.parse, goals)))


ROWS: dict[str, Row] = {
    "anchors": row("what the machine can do without Runwire", anchors.measure),
    "L1": row(
        "log_metrics of 20 values, log_metric of one, each call by itself",
        logging_calls.log_calls,
        "20 values, p50 ns <= 2_000",
        "20 values, p99 ns <= 10_000",
        "one value, p50 ns <= 1_000",
    ),
    "L2": row(
        "the longest call, with the server stopped, and with the uploader killed",
        stalls.stall,
        "server stopped: worst call, ms <= 1.0",
        "uploader killed: worst call, ms <= 1.0",
        "points lost or doubled <= 0",
    ),
    "L3": row(
        "SIGKILL of the trainer at random moments",
        crash.kill_trainer,
        "lost <= 0",
        "doubled <= 0",
    ),
    "L4": row(
        "import; start_run to the first log_metric returned",
        logging_calls.import_and_start,
        "import runwire, ms <= 60",
        "set URI, start_run, first log_metric, ms <= 20",
    ),
    "L5": row(
        "forks of data loaders while their parent logs; a quarter of the children log too",
        forks.fork_while_logging,
        "hangs <= 0",
        "crashes <= 0",
        "lost <= 0",
        "doubled <= 0",
    ),
    "I1": row(
        "filled journals of 2 writers, 20 metrics a row, until acknowledged",
        ingest.drain,
        "points/s, starts of the uploaders included >= 20_000_000",
        "share of the SQLite anchor >= 0.5",
    ),
    "I2": row(
        "the same on PostgreSQL, synchronous_commit=on, by one server and by two",
        ingest.drain_postgres,
        "points/s, one server >= 10_000_000",
        "two servers to one >= 1.8",
    ),
    "I3": row(
        "64 jobs log 20 metrics as fast as allowed, until acknowledged",
        ingest.many_jobs,
        "points/s until all is acknowledged >= 1_000_000",
        "p99 of a call, us (worst job) <= 1_000",
    ),
    "I4": row(
        "wide: one step of 100,000 keys, ten times, each until it is acknowledged",
        shapes.wide,
        "worst step, s to durable <= 1.0",
    ),
    "I5": row(
        "noisy float32 losses after folding: the database file, with steps and times",
        storage.kept_size,
        "20 keys, bytes a point <= 3.5",
    ),
    "I6": row(
        "a stored batch sent again, with a short and with a long history",
        shapes.resend,
        "long history to short <= 1.2",
        "points doubled <= 0",
    ),
    "R1": row(
        "1,000,000 points of one series to numpy arrays of the client",
        reads.one_series,
        "from frames, ms <= 50",
        "from blocks, ms <= 50",
    ),
    "R2": row(
        "200 series of 100,000 points reduced to 2,000 each, in the client",
        reads.reduced,
        "BUCKETS from frames, ms <= 250",
        "BUCKETS from blocks, ms <= 250",
        "SHAPE from frames, ms <= 250",
        "SHAPE from blocks, ms <= 250",
        "series whose extremes are not exact <= 0",
    ),
    "R3": row(
        "a point to whoever follows its run: a batch of one, and a fluent call",
        live.tail_latency,
        "LogBatch sent to visible, p50 ms <= 100",
        "log call to visible, p50 ms <= 250",
    ),
    "R4": row(
        "search over 100,000 runs: the first 100 results",
        search.filtered_search,
        "SQLite: slowest p50, ms <= 50",
        "PostgreSQL: slowest p50, ms <= 50",
    ),
    "R5": row(
        "paging through 100,000 runs with ten params and metrics each, FULL view; get_run",
        search.page_runs,
        "SQLite: FULL runs/s >= 20_000",
        "PostgreSQL: FULL runs/s >= 20_000",
        "SQLite: get_run, p50 ms <= 1.0",
        "PostgreSQL: get_run, p50 ms <= 1.0",
    ),
    "A1": row(
        "a file of 1 GiB to the server and back; both sides' CPU and memory",
        artifacts.large_file,
        "up, share of the slowest anchor >= 0.6",
        "down, share of the slowest anchor >= 0.6",
        "RSS growth of the server, MiB <= 64",
        "RSS growth of the client, MiB <= 64",
    ),
    "A2": row(
        "a folder of 1,000 files of 10 KiB to the server and back",
        artifacts.small_files,
        "files/s up >= 5_000",
        "files/s down >= 5_000",
    ),
    "A2-wide": row(
        "a folder of 100,000 files of 1 KiB to the server and back; both sides' memory",
        artifact_folders.wide_folder,
        "files that differ <= 0",
        "up, first progress, s <= 5.0",
        "down, first progress, s <= 5.0",
        "up, RSS growth of the client, MiB <= 256",
        "up, RSS growth of the server, MiB <= 256",
        "down, RSS growth of the client, MiB <= 256",
        "down, RSS growth of the server, MiB <= 256",
    ),
    "A3": row(
        "uploads cut at random, client or server killed, and sent again",
        artifact_cuts.cut_uploads,
        "contents that differ <= 0",
        "most bytes acknowledged and sent again <= 0",
    ),
    "G1": row(
        "ResolveModels by alias, 8 clients, in turns with an empty RPC",
        registry.resolve,
        "share of the empty RPC's rate >= 0.8",
        "p99, ms <= 10.0",
    ),
    "G2": row(
        "an alias is moved, and 200 watchers are told",
        registry.watch,
        "move to told, p99, ms <= 200",
        "not told <= 0",
    ),
    "S1": row(
        "server start to first answer, idle memory, runwire --help",
        start.start,
        "start to first answer, s <= 1.0",
        "idle RSS, MiB <= 100",
        "runwire --help, ms <= 150",
    ),
    "S2": row(
        "1,000 runs, 100 keys each, a row a second, on one server",
        shapes.many_runs,
        "CPU of the server, cores <= 0.25",
    ),
    "S3": row(
        "restart after SIGKILL with 1 GiB of frames that were not folded",
        storage.restart,
        "restart to first answer, s <= 2.0",
        "restart to first acknowledged point, s <= 2.0",
    ),
    "S4": row(
        "a run of 10^8 points from the trash to free space",
        storage.delete_run,
        "seconds until the space is back <= 5.0",
    ),
    "S5": row(
        "runs made by 8 client processes",
        creation.create_runs,
        "runs/s >= 1_500",
    ),
    "clients": row("the clients of all languages beside each other", clients.compare),
    "shapes": row("a run with 10^9 points, and one with 1,000,000 keys", storage.big_run),
}
