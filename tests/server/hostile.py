"""Requests that no client of ours would send, built from the descriptors.

Half of the values are what the field's name promises, for what ``seed`` stored: a
request of nonsense alone would never come past the first check.
"""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from hypothesis import strategies as st
from runwire.v1 import artifact_service_pb2 as artifact_pb
from runwire.v1 import experiment_service_pb2 as experiment_pb
from runwire.v1 import metric_service_pb2 as metric_pb
from runwire.v1 import registry_service_pb2 as registry_pb
from runwire.v1 import run_service_pb2 as run_pb
from runwire.v1.artifact_pb2 import Artifact, ArtifactOwner
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName
from runwire.v1.run_pb2 import DatasetInput, Run
from runwire_server.app import SERVICE_NAMES

from server.artifacts import blob_of

Call = Callable[[str, Message], Any]

# No request names SPARE, and the Default experiment, where it lies, cannot be deleted.
RUNNING, FINISHED, DELETED, SPARE = (f"{number:032x}" for number in range(1, 5))
UNKNOWN = f"{99:032x}"
DATA = b"bytes of a blob"
BLOB = blob_of(DATA)
MAX_REQUEST_BYTES = 3_900_000
GZIPPED = gzip.compress(DATA, mtime=0)

METHODS: dict[str, MethodDescriptor] = {
    f"/{service}/{method.name}": method
    for service in SERVICE_NAMES
    for method in Default().FindServiceByName(service).methods
}

UNARY = [
    path
    for path, method in METHODS.items()
    if not (method.client_streaming or method.server_streaming)
]

_HOSTILE = (
    "", "0", "-1", "9" * 30, "١٢", "\x00", "a\x00b", "\x1f", "\x7f", "\u0085", "\u2028", "\ufeff",
    "x" * 10_000, "😀", "😀" * 60, "😀" * 600, "e\u0301" * 100, "\x01" * 500,
    "..", "../../etc/passwd", "a/../b", "/etc/passwd", "C:\\x", "a//b", "%2e%2e/x", "%252f", "%00",
    "%", "a%b_c\\", "%s %(x)d {0}", "'; DROP TABLE runs; --", "1' OR '1'='1", '"', "`", "\\",
    UNKNOWN, UNKNOWN[:-1], UNKNOWN.replace("0", "A"), f"{RUNNING}\n",
    "====", "AQ", "AQ" * 20, "é" * 8, "models:/m@champion", f"sha256:{'0' * 64}", "sha256:../..",
    "*", "tags.", "tags.\x00", "tags." + "x" * 600, "name.name", "etag", "run_id",
)  # fmt: skip
_FILTERS = (
    "metrics.loss < 1", "metrics.loss = NaN", "metrics.loss > -Inf", "max(metrics.loss) > 1e400",
    "count(metrics.loss) >= 0.5", "params.lr = '0.1'", "params.lr > 0.01", "params.lr > 1e-999999",
    "tags.`a b` != 'c'", "tags.x IS NULL", "tags.x LIKE '%\\%'", "name ILIKE '%😀_'",
    "create_time > 99999999999999999999", "create_time > '0001-01-01T00:00:00+14:00'",
    "create_time < '9999-12-31T23:59:59-14:00'", "create_time = 1.5", "start_time < 1e308",
    "status = 'RUNNING'", "version > 9223372036854775807", "version = 1e400", "version IN (1, -1)",
    "version = " + "9" * 25, "version = 0.1", "state IN ('RUNNING', 'x')",
    "name = 'a' AND", "name IN ()", "name = 'it''s'", "name = 'open", "datasets.name = 'd'",
    "(" * 3000, "NOT " * 2000 + "name = 'a'", " OR ".join(["name = 'a'"] * 64),
    " AND ".join(["NOT metrics.loss > 1"] * 64), "name = '\x01'", "tags.'\x1f' = '1'",
    f"run_id IN ({','.join(['1'] * 900)})", "metrics." + "x" * 3000 + " > 1",
    f"name IN ({','.join(repr(str(n)) for n in range(1000))})", "é > '1'", "name\u00a0= 'a'",
    "aliases = 'champion'", "tags.`\x1f` = '1'", "alias = 'x'", "last_version > 1",
)  # fmt: skip
_ORDERS = (
    "metrics.loss DESC", "name", "create_time ASC, name DESC", "params.lr", "tags.x desc",
    ",", "name,", "name name", ",".join(["name"] * 9), "metrics.`" + "y" * 3000 + "`", "😀",
    "status", "min(metrics.loss)", "aliases",
)  # fmt: skip
_RUNS = (RUNNING, RUNNING, FINISHED, DELETED, UNKNOWN)

# What a field of this name is meant to hold.
_FITTING: dict[str, tuple[Any, ...]] = {
    "run_id": _RUNS,
    "run_ids": _RUNS,
    "parent_run_id": _RUNS,
    "source_run_id": _RUNS,
    "experiment_id": ("0", "1", "2", "3"),
    "experiment_ids": ("0", "1", "2", "3"),
    "experiment_name": ("e", "new"),
    "name": ("e", "m", "gone", "new", "Default"),
    "new_name": ("m", "m2"),
    "workspace": ("", "", "default", "other"),
    "model": ("m", "m", "new"),
    "alias": ("champion", "next"),
    "aliases": ("champion", "next"),
    "stage": ("none", "Production", "archived"),
    "to_stage": ("none", "Production", "archived"),
    "expected_stage": ("", "none", "production"),
    "stages": ("none", "production", "archived"),
    "references": ("m@champion", "m/1", "m/latest", "m/none", "m/" + "9" * 30, "m/-1", "@", "m@"),
    "writer_id": ("w", "w", "v", ""),
    "digest": (BLOB.digest, BLOB.digest, "sha256:" + "0" * 64, ""),
    "path": ("model/weights.bin", "notes.txt", "model"),
    "source_path": ("model", "", "notes.txt"),
    "prefix": ("", "model", "model/"),
    "uri": ("s3://elsewhere/x", ""),
    "source_uri": ("", "", "s3://elsewhere/x"),
    "media_type": ("text/plain", ""),
    "key": ("loss", "acc", "params"),
    "keys": ("loss", "acc"),
    "key_prefix": ("", "l"),
    "key_prefixes": ("", "l"),
    "filter": _FILTERS,
    "order_by": _ORDERS,
    "page_token": ("",),
    "request_id": ("", "r1", "r2"),
    "etag": ("", "1", "2", "-1", "01"),
    "columns": ("params.lr", "metrics.loss", "tags.x", "tags.*", "max(metrics.loss)"),
    "paths": ("description", "tags", "tags.x", "name", "stages", "*", "model/weights.bin"),
    "signature": ("", "{}", "[" * 5000, "1e999", '"\\ud800"', '"\\u0000"'),
    "sequence": (1, 2, 3, 0),
    "version": (1, 1, 2, 0, -1),
    "expected_version": (0, 1),
    "offset": (0, 0, 1, -1, len(DATA)),
    "size_bytes": (len(DATA), len(DATA), 0),
    "plain_size": (0, len(DATA)),
    "id": (1, 2),
    "series": (1, 2),
    "page_size": (0, 1, 2),
    "limit": (0, 1),
    "data": (DATA, DATA, b"", GZIPPED, GZIPPED[:-3], gzip.compress(bytes(1 << 20), mtime=0)),
    "seconds": (0, 1_700_000_000),
    "nanos": (0, 1),
}

_TEXTS = (*_HOSTILE, *_FILTERS[:3])
_BYTES = (b"", b"\x00", b"\xff" * 40, b"\x01" * 10_000, DATA)
_FLOATS = (float("nan"), float("inf"), float("-inf"), -0.0, 5e-324, 1.7976931348623157e308, 1.5)
_INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), -1, 0, 1, 7, 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), -1, 0, 1, 7, 2**40, 2**62, 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 1, 2**31, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 1, 2**63, 2**64 - 1),
}


def _pool(field: FieldDescriptor) -> tuple[Any, ...]:
    """Hostile values for a field that is no message."""
    kind = field.cpp_type
    if kind == FieldDescriptor.CPPTYPE_STRING:
        return _BYTES if field.type == FieldDescriptor.TYPE_BYTES else _TEXTS
    if field.enum_type is not None:
        numbers = [value.number for value in field.enum_type.values]
        return (*numbers, *numbers, max(numbers) + 1, -1, 2**31 - 1, -(2**31))
    if kind == FieldDescriptor.CPPTYPE_BOOL:
        return (False, True)
    return _INTEGERS.get(kind, _FLOATS)


def _fits(field: FieldDescriptor) -> tuple[Any, ...]:
    """What its name promises, where that is of the field's type."""
    kinds = {FieldDescriptor.CPPTYPE_STRING: str, FieldDescriptor.CPPTYPE_BOOL: bool}
    kind = bytes if field.type == FieldDescriptor.TYPE_BYTES else kinds.get(field.cpp_type, int)
    fitting = [value for value in _FITTING.get(field.name, ()) if type(value) is kind]
    return tuple(fitting) or _pool(field)


def messages(descriptor: Descriptor) -> st.SearchStrategy[Message]:
    """Any message of the type. Three in four requests are mostly what they should be."""

    @st.composite
    def build(draw: st.DrawFn) -> Message:
        tameness = draw(st.sampled_from((9, 7, 5, 2)))
        return _message(draw, descriptor, tameness)

    return build()


def _message(draw: st.DrawFn, descriptor: Descriptor, tameness: int) -> Message:
    made = message_factory.GetMessageClass(descriptor)()
    left_out: set[str] = set()
    for oneof in descriptor.oneofs:
        names = [field.name for field in oneof.fields]
        left_out |= {*names} - {draw(st.sampled_from(names))}
    for field in descriptor.fields:
        if field.name not in left_out and draw(st.integers(0, 9)) < 8:
            _fill(draw, made, field, tameness)
    return made


def _fill(draw: st.DrawFn, made: Message, field: FieldDescriptor, tameness: int) -> None:
    place = getattr(made, field.name)
    entry = field.message_type
    if not repeated(field):
        if entry is None:
            setattr(made, field.name, _value(draw, field, tameness))
        else:
            place.CopyFrom(_message(draw, entry, tameness))
            place.SetInParent()
        return
    count = draw(st.sampled_from((0, 1, 1, 2, 3)))
    if entry is None:
        place.extend(_value(draw, field, tameness) for _ in range(count))
    elif entry.GetOptions().map_entry:
        key, value = entry.fields_by_name["key"], entry.fields_by_name["value"]
        for _ in range(count):
            place[_value(draw, key, tameness)] = _value(draw, value, tameness)
    else:
        place.extend(_message(draw, entry, tameness) for _ in range(count))


def _value(draw: st.DrawFn, field: FieldDescriptor, tameness: int) -> Any:
    tame = draw(st.integers(0, 9)) < tameness
    return draw(st.sampled_from(_fits(field) if tame else _pool(field)))


def long_lists(descriptor: Descriptor, count: int) -> Iterator[tuple[str, Message]]:
    """Plain requests with so many entries (or what a message holds) in one list or map."""
    for field in descriptor.fields:
        entry = field.message_type
        made = plain(descriptor)
        place = getattr(made, field.name)
        if not repeated(field):
            for name, inner in long_lists(entry, count) if entry is not None else ():
                outer = plain(descriptor)
                getattr(outer, field.name).CopyFrom(inner)
                yield f"{field.name}.{name}", outer
            continue
        for number in range(count):
            if entry is None:
                place.append(_distinct(field, number))
            elif entry.GetOptions().map_entry:
                place[_distinct(entry.fields_by_name["key"], number)] = _fits(
                    entry.fields_by_name["value"]
                )[0]
            else:
                one = place.add()
                for inner_field in entry.fields:
                    if inner_field.message_type is None and not repeated(inner_field):
                        setattr(one, inner_field.name, _distinct(inner_field, number))
            if not number % 1000 and made.ByteSize() > MAX_REQUEST_BYTES:
                break
        yield field.name, made


def plain(descriptor: Descriptor) -> Message:
    """The first fitting value in every field that is no list; of a oneof, the first field."""
    made = message_factory.GetMessageClass(descriptor)()
    for field in descriptor.fields:
        oneof = field.containing_oneof
        if repeated(field) or (oneof is not None and field.name != oneof.fields[0].name):
            continue
        if field.message_type is None:
            setattr(made, field.name, _fits(field)[0])
        else:
            getattr(made, field.name).CopyFrom(plain(field.message_type))
    return made


def _distinct(field: FieldDescriptor, number: int) -> Any:
    kind = field.cpp_type
    if kind != FieldDescriptor.CPPTYPE_STRING:
        return number if kind in _INTEGERS else _fits(field)[0]
    if field.type == FieldDescriptor.TYPE_BYTES:
        return b""
    if field.name == "digest":
        return f"sha256:{number:064x}"
    if "run_id" in field.name:
        return f"{number:032x}"
    if field.name == "paths":
        return f"tags.{number}"
    return str(number)


def seed(call: Call) -> None:
    """A few experiments, runs with metrics, artifacts and a model. ``call(path, request)``."""
    for name in ("e", "f", "gone"):
        _do(call, "Experiment", experiment_pb.CreateExperimentRequest(name=name, tags={"x": "1"}))
    _do(call, "Experiment", experiment_pb.DeleteExperimentRequest(experiment_id="3"))
    for run_id in (RUNNING, FINISHED, DELETED, SPARE):
        draft = Run(run_id=run_id, name="e", params={"lr": "0.1"}, tags={"x": "1"})
        draft.inputs.append(DatasetInput(name="d", digest="1"))
        home = "" if run_id == SPARE else "e"
        _do(call, "Run", run_pb.CreateRunRequest(run=draft, experiment_name=home))
        _do(call, "Metric", _points(run_id))
    _do(call, "Run", run_pb.FinishRunRequest(run_id=FINISHED, state=Run.STATE_FINISHED))
    _do(call, "Run", run_pb.DeleteRunRequest(run_id=DELETED))
    item = artifact_pb.BatchPutBlobsRequest.Item(blob=BLOB, data=DATA)
    _do(call, "Artifact", artifact_pb.BatchPutBlobsRequest(items=[item]))
    files = [Artifact(path=path, blob=BLOB) for path in ("model/weights.bin", "notes.txt")]
    owner = ArtifactOwner(run_id=RUNNING)
    tree = artifact_pb.CommitArtifactsRequest(owner=owner, mode="MODE_MERGE", artifacts=files)
    call("/runwire.v1.ArtifactService/CommitArtifacts", iter([tree]))  # type: ignore[arg-type]
    version = registry_pb.CreateModelVersionRequest(
        model="m", create_model=True, source_run_id=RUNNING, source_path="model"
    )
    _do(call, "Registry", version)
    alias = registry_pb.SetModelAliasRequest(model="m", alias="champion", version=1)
    _do(call, "Registry", alias)


def _do(call: Call, noun: str, request: Message) -> None:
    call(f"/runwire.v1.{noun}Service/{request.DESCRIPTOR.name.removesuffix('Request')}", request)


def _points(run_id: str) -> metric_pb.LogBatchRequest:
    values = [1.0, float("nan"), float("inf"), 0.5]
    points = Frame(series=[1], steps=range(4), times_micros=range(4), values=values)
    names = [SeriesName(id=1, key="loss")]
    batch = MetricBatch(sequence=1, series=names, frames=[points])
    return metric_pb.LogBatchRequest(run_id=run_id, writer_id="w", batch=batch)


def repeated(field: Any) -> bool:
    # `label` warns in protobuf 7, `is_repeated` is not there in protobuf 5.
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)


def paths_of(*, streams_requests: bool) -> list[str]:
    """Of every method, as ``/SERVICE/METHOD``: those that take a stream, or the others."""
    return [path for path, method in METHODS.items() if method.client_streaming is streams_requests]
