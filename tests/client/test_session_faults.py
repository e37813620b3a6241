"""The session keeps its promises where a journal, a lock or a process fails."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import runwire
from ports import lasting_port
from runwire import _session
from runwire._connect import connect
from runwire._journal import Journal

from client.test_drills import server


def test_refused_journal_keeps_no_other_from_being_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flushed: list[str] = []
    flush = Journal.flush

    def refused_first(self: Journal, timeout_s: float | None = None) -> bool:
        flushed.append(self.tracking_uri)
        if len(flushed) == 1:
            raise runwire.RunwireError("the server refused a run for good")
        return flush(self, timeout_s)

    monkeypatch.setenv("RUNWIRE_UPLOADER", "thread")
    for name in ("one", "two"):
        runwire.set_tracking_uri(tmp_path / name)
        with runwire.start_run():
            runwire.log_metric("m", 1)
    monkeypatch.setattr(Journal, "flush", refused_first)
    with pytest.raises(runwire.RunwireError, match="refused a run"):
        runwire.flush(60)
    assert len(set(flushed)) == 2
    monkeypatch.undo()
    _session.close()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_closes_a_connection_whose_lock_a_thread_of_its_parent_held() -> None:
    connection = connect("grpc://127.0.0.1:9")
    with connection._lock:
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            connection.close()
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    connection.close()


def _log(program: str, uri: str, *arguments: str) -> None:
    """Run a script whose uploader is a thread, and has to send all when it is over."""
    environment = os.environ | {"RUNWIRE_TRACKING_URI": uri, "RUNWIRE_UPLOADER": "thread"}
    command = [sys.executable, "-c", f"import sys, runwire; {program}", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    assert "Traceback" not in done.stderr


def test_what_was_logged_to_a_run_by_its_id_alone_is_sent_at_the_end(tmp_path: Path) -> None:
    port = lasting_port()
    with server(tmp_path, port), runwire.Client(f"grpc://127.0.0.1:{port}") as client:
        run_id = client.runs.create().run_id
        _log("runwire.log_metric('m', 1.0, run_id=sys.argv[1])", client.tracking_uri, run_id)
        assert client.metrics.read([run_id], ["m"])[run_id, "m"].values.tolist() == [1.0]


def test_artifact_that_was_logged_last_is_sent_by_a_thread_at_the_end(tmp_path: Path) -> None:
    port = lasting_port()
    with server(tmp_path, port), runwire.Client(f"grpc://127.0.0.1:{port}") as client:
        _log("runwire.log_text('x' * (1 << 20), 'x')", client.tracking_uri)
        (run,) = client.runs.search()
        assert client.artifacts.download(run.run_id, "x").read() == b"x" * (1 << 20)
