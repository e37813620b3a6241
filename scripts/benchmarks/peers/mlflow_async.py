"""mlflow with ``synchronous=False``: a call returns when its point waits in a thread's queue."""

from __future__ import annotations

from benchmarks.peers import mlflow


class Adapter(mlflow.Adapter):
    synchronous = False
    tasks = ("calls",)
    calls = 1_000  # each waits in the queue for its turn at the server: minutes for more
