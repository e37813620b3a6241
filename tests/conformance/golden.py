"""One message of every type with every field set, and its serialised form, equal everywhere.

``python -m conformance.golden`` in tests/ writes golden.json anew, after a change of protos/.
"""

from __future__ import annotations

import base64
import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

FILE = Path(__file__).with_name("golden.json")
PROTOS = Path(__file__).parents[2] / "protos" / "runwire" / "v1"
TEXT = "größe 🏃"
DEEPEST = 3
SCALARS: dict[int, Any] = {
    FieldDescriptor.TYPE_STRING: TEXT,
    FieldDescriptor.TYPE_BYTES: b"\0\x80\xff",
    FieldDescriptor.TYPE_BOOL: True,
    FieldDescriptor.TYPE_DOUBLE: float.fromhex("-0x1.fffffffffffffp+1023"),
    FieldDescriptor.TYPE_INT32: -(1 << 31),
    FieldDescriptor.TYPE_INT64: -(1 << 63),
    FieldDescriptor.TYPE_UINT32: (1 << 32) - 1,
    FieldDescriptor.TYPE_UINT64: (1 << 64) - 1,
    FieldDescriptor.TYPE_FIXED32: (1 << 32) - 1,
    FieldDescriptor.TYPE_SFIXED64: (1 << 63) - 1,
}


def types() -> Iterator[Descriptor]:
    """Every message of the API, map entries aside."""
    for path in sorted(PROTOS.glob("*.proto")):
        module = importlib.import_module(f"runwire.v1.{path.stem}_pb2")
        for message in module.DESCRIPTOR.message_types_by_name.values():
            yield from _with_nested(message)


def _with_nested(descriptor: Descriptor) -> Iterator[Descriptor]:
    if not descriptor.GetOptions().map_entry:
        yield descriptor
        for nested in descriptor.nested_types:
            yield from _with_nested(nested)


def filled(descriptor: Descriptor, depth: int = 0) -> Message:
    """Of a oneof, the first field; recursion ends at a depth."""
    message = GetMessageClass(descriptor)()
    if descriptor.full_name in ("google.protobuf.Timestamp", "google.protobuf.Duration"):
        message.seconds, message.nanos = 1_700_000_000, 123_456_000  # type: ignore[attr-defined]
        return message
    for field in descriptor.fields:
        first = field.containing_oneof.fields[0] if field.containing_oneof else field
        if field is first or field.name == first.name:
            _fill(message, field, depth)
    return message


def _fill(message: Message, field: FieldDescriptor, depth: int) -> None:
    found = getattr(message, field.name)
    kind = field.message_type
    if kind is not None and kind.GetOptions().map_entry:
        value = kind.fields_by_name["value"]
        for key in ("b", TEXT, "a"):
            found[key] = _scalar(value)
    elif kind is not None:
        if depth < DEEPEST:
            values = [filled(kind, depth + 1)]
            found.extend(values) if field.is_repeated else found.CopyFrom(values[0])
    else:
        value = _scalar(field)
        if field.is_repeated:
            found.extend([value, value])
        else:
            setattr(message, field.name, value)


def _scalar(field: FieldDescriptor) -> Any:
    if field.enum_type is not None:
        return field.enum_type.values[-1].number
    return SCALARS[field.type]


def make() -> dict[str, str]:
    """By full name, in base64."""
    return {
        one.full_name: base64.b64encode(filled(one).SerializeToString(deterministic=True)).decode()
        for one in types()
    }


if __name__ == "__main__":
    FILE.write_text(json.dumps(make(), indent=1) + "\n")
