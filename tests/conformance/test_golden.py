"""The bytes of every message are the same in all languages."""

from __future__ import annotations

import json

from conformance import golden
from conformance.languages import RunnerProcess


def test_golden_file_has_every_message_with_every_field() -> None:
    assert json.loads(golden.FILE.read_text()) == golden.make()


def test_client_gives_back_the_golden_bytes(runner: RunnerProcess) -> None:
    different = [
        name
        for name, data in json.loads(golden.FILE.read_text()).items()
        if runner.ask("reserialize", type=name, message=data)["message"] != data
    ]
    assert not different
