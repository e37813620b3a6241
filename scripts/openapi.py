"""The OpenAPI document of the web port, made from the protos: openapi.py DESCRIPTORS > FILE.

DESCRIPTORS is what ``buf build`` writes, or protoc with --include_source_info; the comments
of the protos are the texts. Unary methods only: a stream of Connect envelopes is nothing that
OpenAPI can say.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    MethodOptions,
)

Json = dict[str, Any]
Place = tuple[int, ...]

PACKAGE = "runwire.v1"
# Numbers of fields in descriptor.proto, of which the paths of comments are made.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE, FILE_METHOD = 4, 5, 6, 2
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM, ENUM_VALUE = 2, 3, 4, 2

F = FieldDescriptorProto
NUMBER = {"anyOf": [{"type": "number"}, {"enum": ["NaN", "Infinity", "-Infinity"]}]}
SCALARS: dict[int, Json] = {
    F.TYPE_DOUBLE: NUMBER,
    F.TYPE_FLOAT: NUMBER,
    F.TYPE_BOOL: {"type": "boolean"},
    F.TYPE_STRING: {"type": "string"},
    F.TYPE_BYTES: {"type": "string", "contentEncoding": "base64"},
}
for kind in (F.TYPE_INT32, F.TYPE_SINT32, F.TYPE_SFIXED32):
    SCALARS[kind] = {"type": "integer", "format": "int32"}
for kind in (F.TYPE_UINT32, F.TYPE_FIXED32):
    SCALARS[kind] = {"type": "integer", "minimum": 0}
for kind in (F.TYPE_INT64, F.TYPE_SINT64, F.TYPE_SFIXED64, F.TYPE_UINT64, F.TYPE_FIXED64):
    # Answers have strings: JSON's numbers are doubles to many. Requests may have either.
    SCALARS[kind] = {"type": ["string", "integer"], "format": "int64"}
KNOWN: dict[str, Json] = {
    ".google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    ".google.protobuf.Duration": {"type": "string", "pattern": r"^-?\d+(\.\d{1,9})?s$"},
    ".google.protobuf.FieldMask": {"type": "string", "description": "Paths, with commas between."},
}
ERROR: Json = {
    "type": "object",
    "description": "What every status but 200 has as its body. The reason and metadata of the "
    "google.rpc.ErrorInfo among the details say what went wrong: see ErrorReason in the protos.",
    "required": ["code"],
    "properties": {
        "code": {"type": "string", "examples": ["not_found", "invalid_argument"]},
        "message": {"type": "string"},
        "details": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string", "examples": ["google.rpc.ErrorInfo"]},
                    "value": {"type": "string", "contentEncoding": "base64"},
                    "debug": {"type": "object", "description": "The value, as JSON."},
                },
            },
        },
    },
}
ABOUT = """\
Every unary call of Runwire as plain HTTP with JSON, which is the Connect protocol: POST the
request to /SERVICE/METHOD. Methods that change nothing answer GET, too. JSON is the canonical
form of the protos: names in lowerCamelCase (snake_case is understood), 64-bit integers as
strings, bytes in base64, fields that have their default left out. Unknown fields are an error.

Streams (ReadSeries, TailSeries, WatchRuns, WatchModels, DownloadArtifact) are there for Connect
and gRPC-Web clients; what takes a stream of requests, for gRPC clients on the other port."""


class Comments:
    """Those of one file, by the path of what they stand before."""

    def __init__(self, file: FileDescriptorProto):
        self._texts = {
            tuple(place.path): place.leading_comments for place in file.source_code_info.location
        }

    def of(self, *path: int) -> Json:
        lines = self._texts.get(path, "").strip().splitlines()
        text = "\n".join(line.strip() for line in lines)
        return {"description": text} if text else {}


def document(files: FileDescriptorSet) -> Json:
    ours = [file for file in files.file if file.package == PACKAGE]
    schemas: Json = {"Error": ERROR}
    paths: Json = {}
    tags: list[Json] = []
    for file in ours:
        comments = Comments(file)
        schemas |= dict(_schemas(file, comments))
        for index, service in enumerate(file.service):
            tags.append({"name": service.name, **comments.of(FILE_SERVICE, index)})
            for number, method in enumerate(service.method):
                if not (method.client_streaming or method.server_streaming):
                    said = comments.of(FILE_SERVICE, index, FILE_METHOD, number)
                    path = f"/{PACKAGE}.{service.name}/{method.name}"
                    paths[path] = _operations(service.name, method, said)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Runwire", "version": "v1", "description": ABOUT},
        "tags": sorted(tags, key=lambda tag: str(tag["name"])),
        "paths": dict(sorted(paths.items())),
        "components": {"schemas": dict(sorted(schemas.items()))},
    }


def _operations(service: str, method: MethodDescriptorProto, said: Json) -> Json:
    request, response = _reference(method.input_type), _reference(method.output_type)
    shared = {"tags": [service], **said, "responses": _responses(response)}
    body = {"required": True, "content": {"application/json": {"schema": request}}}
    found: Json = {"post": {"operationId": f"{method.name}", "requestBody": body, **shared}}
    if method.options.idempotency_level == MethodOptions.NO_SIDE_EFFECTS:
        message = {"in": "query", "name": "message", "required": True}
        message["content"] = {"application/json": {"schema": request}}
        encoding = {"in": "query", "name": "encoding", "required": True}
        encoding["schema"] = {"const": "json"}
        found["get"] = {
            "operationId": f"{method.name}ByGet",
            "parameters": [message, encoding],
            **shared,
        }
    return found


def _responses(response: Json) -> Json:
    def with_json(description: str, schema: Json) -> Json:
        return {"description": description, "content": {"application/json": {"schema": schema}}}

    error = with_json("What was wrong.", {"$ref": "#/components/schemas/Error"})
    return {"200": with_json("The response.", response), "default": error}


def _schemas(file: FileDescriptorProto, comments: Comments) -> Iterator[tuple[str, Json]]:
    for index, enum in enumerate(file.enum_type):
        yield enum.name, _enum(enum, comments, (FILE_ENUM, index))
    for index, message in enumerate(file.message_type):
        yield from _message(message.name, message, comments, (FILE_MESSAGE, index))


def _message(
    name: str, message: DescriptorProto, comments: Comments, path: Place
) -> Iterator[tuple[str, Json]]:
    maps = {one.name: one for one in message.nested_type if one.options.map_entry}
    properties = {
        field.json_name: _property(field, maps) | comments.of(*path, MESSAGE_FIELD, index)
        for index, field in enumerate(message.field)
    }
    about = comments.of(*path)
    for index, oneof in enumerate(message.oneof_decl):
        names = [
            field.json_name
            for field in message.field
            if field.HasField("oneof_index") and field.oneof_index == index
        ]
        if len(names) > 1:
            rule = f"{oneof.name}: one of {', '.join(names)}, at most."
            about["description"] = f"{about.get('description', '')}\n\n{rule}".strip()
    made = {"type": "object", **about, "properties": properties, "additionalProperties": False}
    yield name, made
    for index, enum in enumerate(message.enum_type):
        yield f"{name}.{enum.name}", _enum(enum, comments, (*path, MESSAGE_ENUM, index))
    for index, inner in enumerate(message.nested_type):
        if not inner.options.map_entry:
            inner_path = (*path, MESSAGE_NESTED, index)
            yield from _message(f"{name}.{inner.name}", inner, comments, inner_path)


def _property(field: FieldDescriptorProto, maps: dict[str, DescriptorProto]) -> Json:
    entry = maps.get(field.type_name.rsplit(".", 1)[-1])
    if entry is not None:
        return {"type": "object", "additionalProperties": _value(entry.field[1])}
    if field.label == field.LABEL_REPEATED:
        return {"type": "array", "items": _value(field)}
    return _value(field)


def _value(field: FieldDescriptorProto) -> Json:
    if field.type in (F.TYPE_MESSAGE, F.TYPE_ENUM):
        return dict(KNOWN.get(field.type_name) or _reference(field.type_name))
    return dict(SCALARS[field.type])


def _reference(type_name: str) -> Json:
    return {"$ref": f"#/components/schemas/{type_name.removeprefix(f'.{PACKAGE}.')}"}


def _enum(enum: EnumDescriptorProto, comments: Comments, path: Place) -> Json:
    lines = [comments.of(*path).get("description", "")]
    for index, value in enumerate(enum.value):
        said = comments.of(*path, ENUM_VALUE, index).get("description", "")
        lines.append(f"- {value.name}: {' '.join(said.split())}")
    return {
        "type": "string",
        "description": "\n".join(lines).strip(),
        "enum": [value.name for value in enum.value],
    }


if __name__ == "__main__":
    read = FileDescriptorSet.FromString(Path(sys.argv[1]).read_bytes())
    json.dump(document(read), sys.stdout, indent=1, ensure_ascii=False)
    sys.stdout.write("\n")
