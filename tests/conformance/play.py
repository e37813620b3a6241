"""Plays a scenario: its steps, one after the other, on a stage, with one runner.

A step is one of

``{"op": …, "args": {…}}``  told to the runner. ``"expect"``: what its answer must have;
    ``"error"``: what it must fail with; ``"save": NAME``: keep the answer; ``"by": "python"``:
    done by the Python client, straight at the server, instead; ``"until": {…}``: again until
    the answer has that; ``"meanwhile": [steps]``: done while the runner is at it.
``{"stage": …}``  a method of ``Stage``.
``{"sent": MIB}``  in "meanwhile": waits until so much has gone to the server since the op began.
``{"repeat": N, "steps": […]}``  with ``${i}`` from 0.

``${NAME.key}`` in any text stands for a part of a saved answer; a text that is nothing else
keeps its type. ``${uri}``, ``${web_uri}``, ``${folder}`` and ``${unique}`` are always there.
Messages are compared in their JSON form, with the field names of the protos.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import uuid
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from runwire.v1.model_pb2 import Model, ModelVersion
from runwire.v1.run_pb2 import Run
from runwire.v1.server_service_pb2 import GetServerInfoResponse

from conformance.languages import Refused, RunnerProcess
from conformance.runner import Runner
from conformance.stage import MIB, Stage

SCENARIOS = Path(__file__).with_name("scenarios")
MESSAGES: dict[str, Any] = {
    "server_info": GetServerInfoResponse,
    "create_run": Run,
    "get_run": Run,
    "finish_run": Run,
    "create_model": Model,
    "create_version": ModelVersion,
}
UNTIL_S = 120.0


def scenario(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SCENARIOS / f"{name}.json").read_text("utf-8"))
    return found


def names() -> list[str]:
    return sorted(path.stem for path in SCENARIOS.glob("*.json"))


class Play:
    def __init__(self, runner: RunnerProcess, stage: Stage, **known: Any):
        self._runner, self._stage = runner, stage
        self._proxy = stage.proxy(runner.about["transport"])
        scheme = "http" if runner.about["transport"] == "web" else "grpc"
        self._known: dict[str, Any] = {
            "uri": f"{scheme}://127.0.0.1:{self._proxy.port}",
            "web_uri": stage.web_uri,
            "folder": str(stage.folder),
            "unique": uuid.uuid4().hex,
            **known,
        }
        self._python = Runner()

    def run(self, told: dict[str, Any]) -> None:
        try:
            self._runner.ask("connect", uri=self._known["uri"])
            for number, step in enumerate(told["steps"]):
                try:
                    self._step(step)
                except (AssertionError, Refused) as error:
                    raise AssertionError(f"step {number}, {json.dumps(step)}: {error}") from error
        finally:
            self._stage.reset()
            self._python.close()

    def _step(self, step: dict[str, Any]) -> None:
        if "steps" in step:
            for number in range(step["repeat"]):
                self._known["i"] = str(number)
                for one in step["steps"]:
                    self._step(one)
        elif "stage" in step:
            args = {key: value for key, value in step.items() if key != "stage"}
            getattr(self._stage, f"do_{step['stage']}")(**self._filled(args))
        elif "sent" in step:
            assert self._proxy.wait_sent(int(step["sent"] * MIB)), "too little was sent"
        else:
            self._op(step)

    def _op(self, step: dict[str, Any]) -> None:
        if "until" in step:
            answer = self._until(step)
        elif "meanwhile" in step:
            answer = self._meanwhile(step)
        else:
            answer = self._asked(step)
        if "save" in step:
            self._known[step["save"]] = answer
        agree(answer, self._filled(step.get("expect", {})))

    def _asked(self, step: dict[str, Any]) -> dict[str, Any]:
        op, args = step["op"], self._filled(step.get("args", {}))
        expected = step.get("error")
        try:
            answer = self._ask(op, args, by_python=step.get("by") == "python")
        except Refused as refused:
            if expected is None:
                raise
            agree(refused.error, self._filled(expected))
            return refused.error
        assert expected is None, f"it did not fail with {expected}"
        return _readable(op, answer)

    def _ask(self, op: str, args: dict[str, Any], *, by_python: bool) -> dict[str, Any]:
        if not by_python:
            return self._runner.ask(op, **args)
        # Anew each time: after a restart of the server an old channel still waits to try again.
        self._python.op_connect(self._stage.direct_uri)
        answer = self._python.answer(op, args)
        if "error" in answer:
            raise Refused(answer["error"])
        ok: dict[str, Any] = answer["ok"]
        return ok

    def _until(self, step: dict[str, Any]) -> dict[str, Any]:
        pause = threading.Event()
        for _ in range(int(UNTIL_S / 0.05)):
            answer = self._asked(step)
            try:
                agree(answer, self._filled(step["until"]))
            except AssertionError:
                pause.wait(0.05)
            else:
                return answer
        raise AssertionError(f"still {answer}")

    def _meanwhile(self, step: dict[str, Any]) -> dict[str, Any]:
        """The op in a thread of its own; ours does the rest."""
        ended: dict[str, Any] = {}

        def work() -> None:
            try:
                ended["answer"] = self._asked(step)
            except BaseException as error:  # for the thread that waits
                ended["error"] = error

        self._proxy.forget()
        thread = threading.Thread(target=work)
        thread.start()
        try:
            for one in step["meanwhile"]:
                self._step(one)
        finally:
            thread.join()
        if "error" in ended:
            raise ended["error"]
        answer: dict[str, Any] = ended["answer"]
        return answer

    def _filled(self, value: Any) -> Any:
        """With every ``${…}`` replaced."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(one) for key, one in value.items()}
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        if not isinstance(value, str):
            return value
        if whole := re.fullmatch(r"\$\{([^}]+)\}", value):
            return self._look_up(whole[1])
        return re.sub(r"\$\{([^}]+)\}", lambda found: str(self._look_up(found[1])), value)

    def _look_up(self, path: str) -> Any:
        found: Any = self._known
        for part in path.split("."):
            found = found[int(part)] if isinstance(found, list) else found[part]
        return found


def _readable(op: str, answer: dict[str, Any]) -> dict[str, Any]:
    """The fields of a message that it carries, instead of the message."""
    if op not in MESSAGES:
        return answer
    message = MESSAGES[op].FromString(base64.b64decode(answer["message"]))
    return MessageToDict(message, preserving_proto_field_name=True)


def agree(found: Any, expected: Any) -> None:
    """``found`` has all of ``expected``; lists have nothing else."""
    if isinstance(expected, dict):
        assert isinstance(found, dict), f"{found!r} is not {expected!r}"
        for key, value in expected.items():
            assert key in found, f"{key!r} is not in {found!r}"
            agree(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected), f"{found!r} is not {expected!r}"
        for one, other in zip(found, expected, strict=True):
            agree(one, other)
    else:
        assert found == expected, f"{found!r} is not {expected!r}"
