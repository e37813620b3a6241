"""Look for what could go wrong: client, server, clock, disk, data that waits to be sent.
Ends with code 1 where something is wrong."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runwire._command import doctor_artifacts
from runwire._command.metric_compact import per_point
from runwire._command.output import Table, size_text

if TYPE_CHECKING:
    from runwire.v1.metric_service_pb2 import MetricStorage
    from runwire.v1.server_service_pb2 import GetServerInfoResponse

OK, WARNING, WRONG = "ok", "warning", "wrong"

LEAST_FREE_BYTES, LITTLE_FREE_BYTES = 100 << 20, 1 << 30
# A Date header has whole seconds; more than this is a clock that nobody sets.
MOST_SKEW_S = 5.0
MOST_UNFOLDED_POINTS = 1_000_000_000


@dataclass(frozen=True)
class Finding:
    check: str
    state: str
    detail: str


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--deep", action="store_true", help="read all artifacts, not only some of the newest runs"
    )
    parser.set_defaults(handler=doctor)


def doctor(args: argparse.Namespace) -> Table:
    findings = [*_client(), *_tracking(getattr(args, "tracking_uri", None), args.deep)]
    rows = [(one.check, one.state, one.detail) for one in findings]
    troubled = frozenset(number for number, one in enumerate(findings) if one.state != OK)
    wrong = any(one.state == WRONG for one in findings)
    documents = [asdict(one) for one in findings]
    return Table(("check", "", "what was found"), rows, documents, troubled, code=int(wrong))


def _client() -> Iterator[Finding]:
    from importlib.metadata import PackageNotFoundError, version

    import runwire

    yield Finding(
        "client", OK, f"runwire {runwire.__version__}, Python {platform.python_version()}"
    )
    for package in ("grpcio", "protobuf"):
        try:
            yield Finding(package, OK, version(package))
        except PackageNotFoundError:
            yield Finding(package, WRONG, f"not installed: pip install {package}")


def _tracking(given: str | None, deep: bool) -> Iterator[Finding]:
    from runwire._errors import RunwireError
    from runwire._uri import VARIABLE, data_folder, is_local, resolve_uri, shown

    origin = "--tracking-uri" if given else VARIABLE if os.environ.get(VARIABLE) else "default"
    try:
        uri = resolve_uri(given)
    except RunwireError as error:
        yield Finding("tracking uri", WRONG, str(error))
        return
    yield Finding("tracking uri", OK, f"{shown(uri)} ({origin})")
    folder = data_folder(uri) if is_local(uri) else None
    if folder is not None:
        yield _disk("data folder", folder)
    yield from _server(uri, deep)
    yield from _journals(uri)


def _server(uri: str, deep: bool) -> Iterator[Finding]:
    from runwire import Client, __version__
    from runwire._errors import RunwireError
    from runwire._uri import data_folder, is_local

    folder = data_folder(uri)
    if folder is not None and not folder.exists():
        yield Finding("server", OK, "local mode; no data yet")
        return
    try:
        with Client(uri) as client:
            client.server_info()
            start = time.perf_counter()
            info = client.server_info()
            took_ms = (time.perf_counter() - start) * 1e3
            storage = client.metrics.get_storage()
            read, bad = doctor_artifacts.problems(client, deep=deep)
    except RunwireError as error:
        yield Finding("server", WRONG, str(error))
        return
    where = "local mode" if is_local(uri) else f"answers in {took_ms:.1f} ms"
    same = _series(info.version) == _series(__version__)
    yield Finding("server", OK if same else WARNING, f"runwire {info.version}, {where}")
    limits = info.limits
    told = f"messages {size_text(limits.max_message_bytes)}, keys {limits.max_key_bytes} bytes, "
    told += f"values {size_text(limits.max_value_bytes)}, {limits.max_series_per_run} series a run"
    yield Finding("limits", OK, told)
    yield _metrics(storage)
    yield Finding("artifacts", WRONG if bad else OK, f"{read}: {len(bad)} lost or damaged")
    yield from (Finding("artifact", WRONG, problem) for problem in bad)
    if not is_local(uri):
        yield _clock(uri, info)


def _metrics(storage: MetricStorage) -> Finding:
    """A backlog is folded by itself; a large one means that the server does not keep up."""
    told = f"{storage.block_points} points in {storage.blocks} blocks, "
    told += f"{size_text(storage.block_bytes)} ({per_point(storage)} bytes a point); "
    told += f"{storage.unfolded_points} points to fold; frames {size_text(storage.frame_bytes)}"
    behind = storage.unfolded_points > MOST_UNFOLDED_POINTS
    return Finding("metrics", WARNING if behind else OK, told)


def _series(version: str) -> list[str]:
    """Releases of one series go together: "1.4" of "1.4.2"."""
    return version.split(".")[:2]


def _clock(uri: str, info: GetServerInfoResponse) -> Finding:
    import urllib.request
    from email.utils import parsedate_to_datetime

    address = _web_address(uri, info.web_endpoint)
    if not address:
        return Finding("clock", OK, "not compared: the server has no web port")
    try:
        start = time.time()
        with urllib.request.urlopen(f"{address}/livez", timeout=5) as answer:  # noqa: S310
            date = parsedate_to_datetime(answer.headers["Date"])
        middle = (start + time.time()) / 2
    except (OSError, TypeError, ValueError) as error:
        return Finding("clock", OK, f"not compared: {address} does not answer ({error})")
    ahead_s = date.timestamp() + 0.5 - middle
    state = OK if abs(ahead_s) < MOST_SKEW_S else WARNING
    return Finding("clock", state, f"the server's is {round(ahead_s):+d} s from ours")


def _web_address(uri: str, endpoint: str) -> str:
    """The web port's URL. A server that does not know its name tells the port alone."""
    from urllib.parse import urlsplit

    if uri.startswith("http"):
        return uri
    if endpoint.startswith(":"):
        host = urlsplit(uri).hostname or ""
        return f"http://[{host}]{endpoint}" if ":" in host else f"http://{host}{endpoint}"
    return endpoint if endpoint.startswith("http") else ""


def _disk(what: str, folder: Path) -> Finding:
    """Of the folder, or of where it will be made."""
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    state = WRONG if free < LEAST_FREE_BYTES else WARNING if free < LITTLE_FREE_BYTES else OK
    detail = f"{folder}: {size_text(free)} free"
    if not os.access(place, os.W_OK):
        state, detail = WRONG, f"{detail}, but {place} cannot be written to"
    return Finding(what, state, detail)


def _journals(uri: str) -> Iterator[Finding]:
    from runwire import _waiting
    from runwire._settings import journals_folder
    from runwire._uri import shown

    base = journals_folder(uri)
    yield _disk("journals", base)
    for one in _waiting.find(base):
        if one.problem:
            yield Finding(one.state, WRONG, one.problem)
            continue
        told = f"{one.directory}: {size_text(one.size_bytes)} for {shown(one.tracking_uri)}"
        if one.state == "waiting":
            yield Finding("waiting", WARNING, f"{told}; 'runwire sync' sends it")
        elif one.server_is_away:
            yield Finding(one.state, WARNING, f"{told}; the server is away or refuses it")
        else:
            yield Finding(one.state, OK, told)
        for run_id, reason in one.refused.items():
            yield Finding("refused", WRONG, f"run {run_id} in {one.directory}: {reason}")
