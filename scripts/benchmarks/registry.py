"""How fast serving programs learn what a reference means: asked for, and told."""

from __future__ import annotations

import multiprocessing
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import grpc
from runwire import Client
from runwire.registry import ModelChange, ModelWatcher
from runwire.v1.registry_service_pb2 import ResolveModelsRequest
from runwire.v1.registry_service_pb2_grpc import RegistryServiceStub
from runwire.v1.server_service_pb2 import GetServerInfoRequest
from runwire.v1.server_service_pb2_grpc import ServerServiceStub

from benchmarks import anchors
from benchmarks.work import Work, quantile

CLIENTS, MODELS, ROUNDS = 8, 100, 5
WATCHERS, PROCESSES, MOVES = 200, 4, 40
RPCS = ("empty", "resolve")


def resolve(work: Work) -> dict[str, Any]:
    """G1: 8 client processes resolve an alias, in turns with 8 that make an empty call."""
    seconds = 0.5 if work.quick else 3.0
    with work.server() as uri, Client(uri) as client, _clients(uri) as ask:
        for number in range(MODELS):
            _publish(client, f"model-{number}")
        times: dict[str, list[list[float]]] = {rpc: [] for rpc in RPCS}
        for _ in range(ROUNDS):
            for rpc in RPCS:
                times[rpc].append(ask(rpc, seconds))
    rates = {rpc: sorted(len(one) / seconds for one in times[rpc])[ROUNDS // 2] for rpc in RPCS}
    ordered = {rpc: sorted(time for one in times[rpc] for time in one) for rpc in RPCS}
    return {
        "clients": CLIENTS,
        "ResolveModels by alias, calls/s": rates["resolve"],
        "p50, ms": quantile(ordered["resolve"], 0.5) * 1e3,
        "p99, ms": quantile(ordered["resolve"], 0.99) * 1e3,
        "anchor: empty RPC, calls/s": rates["empty"],
        "anchor: empty RPC, p99, ms": quantile(ordered["empty"], 0.99) * 1e3,
        "share of the empty RPC's rate": rates["resolve"] / rates["empty"],
    }


def watch(work: Work) -> dict[str, Any]:
    """G2: an alias is moved, and 200 watchers in 4 processes are told: streams of WatchModels,
    then ``ModelWatcher``s, each of which asks what its reference means before it calls back."""
    moves = work.size(MOVES)
    with work.server() as uri, Client(uri) as client:
        rpc = anchors.empty_rpc(uri)
        for _ in range(moves + 1):
            _publish(client, "fraud")
        streams, watchers = (_told(client, kind, moves) for kind in (_stream, _watcher))
    return {
        "watchers": WATCHERS,
        "moves": moves,
        "not told": 2 * moves * WATCHERS - len(streams) - len(watchers),
        "move to told, p50, ms": quantile(streams, 0.5) * 1e3,
        "move to told, p99, ms": quantile(streams, 0.99) * 1e3,
        "move to callback, p50, ms": quantile(watchers, 0.5) * 1e3,
        "move to callback, p99, ms": quantile(watchers, 0.99) * 1e3,
        "anchor: small unary RPC, us": rpc * 1e6,
        "anchor: as many RPCs one by one, ms": rpc * WATCHERS * 1e3,
    }


Tell = Callable[[int], object]
"""To be called with the version that the alias means now."""


def _told(client: Client, watcher: Callable[..., None], moves: int) -> list[float]:
    """Seconds from before each move until each watcher was told, in ascending order."""
    context = multiprocessing.get_context("spawn")
    told, done, times = context.Queue(), context.Event(), []
    arguments = (watcher, client.tracking_uri, told, done)
    processes = [context.Process(target=_watch, args=arguments) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    for _ in range(WATCHERS):
        told.get()
    for version in range(1, moves + 1):
        start = time.perf_counter()
        client.models.set_alias("fraud", "champion", version)
        times += [at - start for at in _gathered(told, version)]
    done.set()
    for process in processes:
        process.join()
    return sorted(times)


def _gathered(told: Any, version: int) -> Iterator[float]:
    """When each watcher was told of a version; of fewer, where one is not told."""
    for _ in range(WATCHERS):
        try:
            at, found = told.get(timeout=10)
        except queue.Empty:
            return
        if found == version:
            yield at


def _watch(watcher: Callable[..., None], uri: str, told: Any, done: Any) -> None:
    def tell(version: int) -> None:
        told.put((time.perf_counter(), version))

    with Client(uri) as client, ExitStack() as stack:
        for _ in range(WATCHERS // PROCESSES):
            watcher(client, stack, tell)
        done.wait()


def _stream(client: Client, stack: ExitStack, tell: Tell) -> None:
    feed = stack.enter_context(client.models.watch(["fraud"], from_now=True))

    def read() -> None:
        for event in feed:
            if event.HasField("mark") or event.HasField("change"):
                tell(event.change.version)

    threading.Thread(target=read, daemon=True).start()


def _watcher(client: Client, stack: ExitStack, tell: Tell) -> None:
    def on_change(change: ModelChange) -> None:
        tell(change.now.version if change.now else 0)

    uri = client.tracking_uri
    stack.enter_context(ModelWatcher(["fraud@champion"], uri=uri, on_change=on_change))


def _publish(client: Client, model: str) -> None:
    client.models.create_version(
        model, source_uri="s3://elsewhere/model", create_model=True, aliases=["champion"]
    )


@contextmanager
def _clients(uri: str) -> Iterator[Callable[[str, float], list[float]]]:
    """Client processes; called with an RPC's name, they all make it for so many seconds, and
    the time of each call is returned."""
    context = multiprocessing.get_context("spawn")
    orders = [context.Queue() for _ in range(CLIENTS)]
    results = context.Queue()
    processes = [context.Process(target=_call, args=(uri, one, results)) for one in orders]
    for process in processes:
        process.start()
    for _ in processes:
        results.get()

    def ask(rpc: str, seconds: float) -> list[float]:
        for one in orders:
            one.put((rpc, seconds))
        return [time for _ in processes for time in results.get()]

    yield ask
    for one in orders:
        one.put(None)
    for process in processes:
        process.join()


def _call(uri: str, orders: Any, results: Any) -> None:
    with grpc.insecure_channel(uri.removeprefix("grpc://")) as channel:
        server, registry = ServerServiceStub(channel), RegistryServiceStub(channel)
        server.GetServerInfo(GetServerInfoRequest())
        results.put([])
        for number, (rpc, seconds) in enumerate(iter(orders.get, None)):
            request: Any = GetServerInfoRequest()
            if rpc == "resolve":
                request = ResolveModelsRequest(references=[f"model-{number % MODELS}@champion"])
            call = server.GetServerInfo if rpc == "empty" else registry.ResolveModels
            results.put(_timed(lambda: call(request), seconds))  # noqa: B023


def _timed(call: Callable[[], object], seconds: float) -> list[float]:
    times = []
    end = time.perf_counter() + seconds
    before = time.perf_counter()
    while before < end:
        call()
        after = time.perf_counter()
        times.append(after - before)
        before = after
    return times
