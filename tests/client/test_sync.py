"""``sync`` sends what jobs left behind, and of a living job what there is."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from runwire._call import Caller
from runwire._connect import connect
from runwire._journal import Journal
from runwire._run import Runs
from runwire._uploader import journals, sync
from runwire.v1.run_pb2 import Run

from client.deliveries import OFFLINE, new_run, now_micros, stored


def test_sync_sends_what_offline_jobs_left_parents_first(tmp_path: Path) -> None:
    uri, base = str(tmp_path / "data"), tmp_path / "journals"
    parent = Journal.open(base, uri, settings=OFFLINE)
    run = new_run(parent)
    run.log_metrics({"loss": 1.0}, 1, 1)
    child = Journal.open(base, uri, settings=OFFLINE)
    joined = child.attach_run(run.run_id, resume=False)
    joined.log_metrics({"loss": 2.0}, 2, 2)
    child.close()
    run.finish("FINISHED", now_micros())
    parent.close()
    told: list[Path] = []
    results = sync(base, lambda result: told.append(result.directory))
    assert [result.state for result in results] == ["sent", "sent"]
    assert told == [parent.directory, child.directory]
    assert journals(base) == []
    assert sync(base) == []
    with closing(connect(uri)) as connection:
        assert stored(connection, run.run_id)["loss"].total() == 2
        assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED


def test_sync_of_a_living_job_sends_and_leaves_the_journal(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journals", str(tmp_path / "data"), settings=OFFLINE)
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1, 1)
    assert [one.state for one in sync(journal.base)] == ["sent"]
    assert journal.flush(0.0)
    run.log_metrics({"loss": 1.0}, 2, 2)
    assert not journal.flush(0.0)
    journal.close()
    assert [one.state for one in sync(journal.base)] == ["sent"]
    assert not journal.directory.exists()


def test_sync_without_a_server_says_so_and_keeps_everything(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "grpc://127.0.0.1:9", settings=OFFLINE)
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1, 1)
    journal.close()
    assert [one.state for one in sync(tmp_path, give_up_s=0.1)] == ["away"]
    assert journals(tmp_path) == [journal.directory]
