"""What a server tells of itself: Prometheus counters, and logs as text or JSON."""

from __future__ import annotations

import json
import logging
import os
import sys

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    values,
)
from prometheus_client.multiprocess import MultiProcessCollector

CALLS = Counter(
    "runwire_calls_total", "Calls that ended, by method and status.", ["method", "code"]
)
SECONDS = Histogram(
    "runwire_call_seconds",
    "How long calls took, streams included.",
    ["method"],
    buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)


def observe(method: str, code: str, seconds: float) -> None:
    """One call has ended."""
    name = method.removeprefix("/runwire.v1.")
    CALLS.labels(name, code).inc()
    SECONDS.labels(name).observe(seconds)


def share() -> None:
    """Count for the page of all processes, now that PROMETHEUS_MULTIPROC_DIR says where.

    A process that was started with it counts there by itself.
    """
    values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]


def exposition() -> bytes:
    """The Prometheus text page, of all worker processes where there are several."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return bytes(generate_latest(REGISTRY))
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return bytes(generate_latest(registry))


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": record.process,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["traceback"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def set_up_logs(level: str, form: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    text = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if form == "json" else text)
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for chatty in ("alembic", "uvicorn"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
