"""The last answer of a registry in a file, for a program that starts while no server answers."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from google.protobuf import json_format

from runwire.v1.registry_service_pb2 import ResolveModelsResponse

log = logging.getLogger("runwire")


class Kept(NamedTuple):
    """An answer, and when it was known to be right (seconds since 1970)."""

    answer: ResolveModelsResponse
    confirmed: float


class ModelFile:
    """One JSON file, replaced as a whole: whoever reads it, after a crash too, finds the old or
    the new answer. What cannot be read or written is logged and never raised."""

    def __init__(self, path: str | os.PathLike[str], uri: str, workspace: str):
        self._path = Path(path)
        self._of = {"tracking_uri": uri, "workspace": workspace}

    def load(self) -> Kept | None:
        """None where there is nothing, or what another registry has said."""
        try:
            found = json.loads(self._path.read_text())
            if {name: found[name] for name in self._of} != self._of:
                return None
            answer = json_format.ParseDict(
                found["answer"], ResolveModelsResponse(), ignore_unknown_fields=True
            )
            return Kept(answer, float(found["confirmed"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, json_format.Error) as error:
            log.warning("%s holds no answer of a registry: %s", self._path, error)
            return None

    def save(self, answer: ResolveModelsResponse, confirmed: float) -> None:
        document = {
            **self._of,
            "confirmed": confirmed,
            "answer": json_format.MessageToDict(answer),
        }
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._replace(json.dumps(document))
        except OSError as error:
            log.warning("%s cannot be written: %s", self._path, error)

    def _replace(self, text: str) -> None:
        with tempfile.NamedTemporaryFile(
            "w", dir=self._path.parent, prefix=f".{self._path.name}.", delete=False
        ) as file:
            try:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self._path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
