"""What the machine itself can do, measured seconds before the figure it stands beside."""

from __future__ import annotations

import os
import sqlite3
import time
from pathlib import Path

import grpc
from runwire.v1.server_service_pb2 import GetServerInfoRequest
from runwire.v1.server_service_pb2_grpc import ServerServiceStub

MIB = 1 << 20


def disk_append(folder: Path, total_bytes: int = 256 * MIB) -> float:
    """Bytes/s of appending to a file in 1 MiB writes with one fdatasync at the end."""
    block, path = os.urandom(MIB), folder / "anchor"
    start = time.perf_counter()
    with path.open("wb", buffering=0) as file:
        for _ in range(total_bytes // MIB):
            file.write(block)
        os.fdatasync(file.fileno())
    seconds = time.perf_counter() - start
    path.unlink()
    return total_bytes / seconds


def sqlite_append(folder: Path, blob_bytes: int, total_bytes: int = 256 * MIB) -> float:
    """Bytes/s of SQLite taking blobs, one durable transaction each, set up as our database."""
    block, path = os.urandom(blob_bytes), folder / "anchor.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE blobs (id INTEGER PRIMARY KEY, data BLOB)")
    start = time.perf_counter()
    for _ in range(total_bytes // blob_bytes):
        connection.execute("INSERT INTO blobs (data) VALUES (?)", (block,))
    seconds = time.perf_counter() - start
    connection.close()
    for file in folder.glob("anchor.db*"):
        file.unlink()
    return total_bytes / seconds


def empty_rpc(uri: str, calls: int = 1000) -> float:
    """Seconds of one small unary call to a running server, median, one at a time."""
    with grpc.insecure_channel(uri.removeprefix("grpc://")) as channel:
        call = ServerServiceStub(channel).GetServerInfo
        call(GetServerInfoRequest())
        times = []
        for _ in range(calls):
            start = time.perf_counter()
            call(GetServerInfoRequest())
            times.append(time.perf_counter() - start)
    return sorted(times)[calls // 2]
