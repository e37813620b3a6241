"""The schema is exactly tables.py, however it came about."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from runwire.v1.registry_service_pb2 import CreateModelVersionRequest, RestoreModelRequest
from runwire.v1.run_pb2 import DatasetInput
from runwire_server.errors import StorageUnavailable
from runwire_server.metrics import frames
from runwire_server.metrics.keys import key_id
from runwire_server.store import migrations, model, model_restore, model_version
from runwire_server.store.database import Database
from runwire_server.store.migrations.versions import v0009_sources
from runwire_server.store.search import RUNS, search
from runwire_server.store.tables import metadata, run_inputs

from server.batches import losses, points, running, send, series
from server.trials import TRIALS, found, insert_run


# SQLAlchemy does not reflect indexes over expressions on SQLite; their names are compared below.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_migrations_lead_to_exactly_the_tables(db: Database) -> None:
    with db.read() as tx:
        context = MigrationContext.configure(tx.connection)
        assert compare_metadata(context, metadata) == []


def test_migrations_lead_to_the_indexes_over_expressions(db: Database) -> None:
    catalogue = (
        "SELECT indexname FROM pg_indexes" if db.is_postgres else "SELECT name FROM sqlite_master"
    )
    with db.read() as tx:
        names = set(tx.execute(sa.text(catalogue)).scalars())
    wanted = {index.name for table in metadata.tables.values() for index in table.indexes}
    assert wanted <= names


def test_head_is_the_newest_migration() -> None:
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert script.get_heads() == [migrations.HEAD]


def test_upgrade_of_an_up_to_date_database_does_nothing(db: Database) -> None:
    assert migrations.upgrade(db) is False


def test_servers_that_start_together_make_the_tables_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    databases = [Database(url) for _ in range(4)]
    done: list[bool] = []
    threads = [
        threading.Thread(target=lambda db=db: done.append(migrations.upgrade(db)))
        for db in databases
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 4
    with databases[0].read() as tx:
        assert tx.execute(sa.text("SELECT count(*) FROM experiments")).scalar() == 1
    for db in databases:
        db.close()


def test_databases_that_are_opened_at_once_are_not_mixed_up(tmp_path: Path) -> None:
    databases = [Database(f"sqlite:///{tmp_path / name}.db") for name in "abcd"]
    begin = threading.Barrier(len(databases))

    def upgraded(db: Database) -> bool:
        with closing(db):
            begin.wait(120)
            return migrations.upgrade(db) and migrations.revision(db) == migrations.HEAD

    with ThreadPoolExecutor(len(databases)) as pool:
        assert all(pool.map(upgraded, databases))


def test_database_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'x.db'}")
    migrations.upgrade(db)
    with db.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageUnavailable, match="newer release"):
        migrations.upgrade(db)
    assert migrations.revision(db) == "9999"
    db.close()


_MODEL_0003 = """INSERT INTO models (model_id, workspace, name, description, stages,
    latest_version, create_time, update_time, delete_time, revision)
    VALUES (:model_id, 'default', :name, '', '["none"]', :latest, 1, 1, :deleted, 1)"""
_VERSION_0003 = """INSERT INTO model_versions (model_id, version, stage, description, source_run_id,
    source_path, source_uri, tree_digest, signature, creator, create_time, update_time,
    delete_time, revision)
    VALUES (:model_id, :version, 'none', '', '', '', 's3://x', '', '', '', 1, 1, :deleted, 1)"""


def test_models_of_the_third_schema_count_live_versions_and_can_be_restored(db: Database) -> None:
    with db.write_alone() as tx:
        metadata.drop_all(tx.connection)
        tx.execute(sa.text("DROP TABLE alembic_version"))
    migrations.upgrade(db, "0003")
    with db.write() as tx:
        for model_id, deleted in (("live", None), ("gone", 7)):
            values = {"model_id": model_id, "name": model_id, "latest": 3, "deleted": deleted}
            tx.execute(sa.text(_MODEL_0003), values)
        for model_id, version, deleted in (
            *(("live", 1, None), ("live", 2, None), ("live", 3, 5)),
            *(("gone", 1, 7), ("gone", 2, 7), ("gone", 3, 5)),
        ):
            values = {"model_id": model_id, "version": version, "deleted": deleted}
            tx.execute(sa.text(_VERSION_0003), values)
    assert migrations.upgrade(db)
    with db.write() as tx:
        assert model.get(tx, "live", "").latest_version == 2
        draft = CreateModelVersionRequest(model="live", source_uri="s3://x")
        assert model_version.create(tx, draft)[0].version == 4
        restored, _ = model_restore.restore(tx, RestoreModelRequest(name="gone"))
        assert restored.latest_version == 2


RUN = "0123456789abcdef" * 2
_RUN_0001 = f"""INSERT INTO runs (run_id, experiment_id, name, description, state, "user",
    source_name, git_commit, source, parent_run_id, forked_run_id, create_time, summaries_stale,
    revision)
    VALUES ('{RUN}', 0, 'old', '', 2, '', '', '', :none, '', '', 1, true, 1)"""
_WRITER_0001 = f"""INSERT INTO metric_writers VALUES ('{RUN}', :writer, 2, 7, 1, false, 1)"""
_FRAME_0001 = f"""INSERT INTO metric_frames
    VALUES ('{RUN}', :writer, :sequence, 1, 5, 5, :receive_time, :data)"""


def test_metrics_of_the_first_schema_keep_their_points_and_order(db: Database) -> None:
    """A server whose clock was behind received b's second batch: b's own order stands."""
    with db.write() as tx:
        metadata.drop_all(tx.connection)
        tx.execute(sa.text("DROP TABLE alembic_version"))
    migrations.upgrade(db, "0001")
    with db.write() as tx:
        tx.execute(sa.text(_RUN_0001), {"none": b""})
        key = key_id("loss")
        tx.execute(
            sa.text("INSERT INTO metric_keys (key_id, name) VALUES (:key, 'loss')"), {"key": key}
        )
        for writer, sequence, received in (("a", 1, 20), ("b", 1, 30), ("b", 2, 10), ("a", 2, 40)):
            step, time = np.array([5], "<i8"), np.array([1000], "<i8")
            value = np.array([[received]], "<f8")
            payload = frames.encode([frames.Frame(np.array([key], "<i8"), step, time, value)])
            fields = {"writer": writer, "sequence": sequence, "receive_time": received}
            tx.execute(sa.text(_FRAME_0001), {**fields, "data": payload})
        for writer in "ab":
            tx.execute(sa.text(_WRITER_0001), {"writer": writer})
    assert migrations.upgrade(db)
    with running(db) as engine:
        assert [one.points for one in series(engine, RUN)] == [4]
        assert send(engine, RUN, losses(3, 50.0, first_step=5), "a").committed_sequence == 3
        values = [value for *_, value in points(engine, RUN)]
        assert values == [20.0, 30.0, 10.0, 40.0, 50.0]


def test_runs_of_the_second_schema_are_found_by_the_indexes_of_the_third(db: Database) -> None:
    with db.write_alone() as tx:
        metadata.drop_all(tx.connection)
        tx.execute(sa.text("DROP TABLE alembic_version"))
    migrations.upgrade(db, "0002")
    with db.write() as tx:
        for trial in TRIALS:
            insert_run(tx, replace(trial, datasets=[]))
    assert migrations.upgrade(db)
    with db.read() as tx:
        for filter in ("params.p = 'a'", "params.p = 10", "tags.t = 'ab'", "metrics.m > 0.2"):
            rows, _ = search(tx, RUNS, filter=filter, home=lambda column: column.in_([1, 2]))
            assert [row.run_id for row in rows] == found(tx, filter)
            assert rows


def test_inputs_of_the_eighth_schema_are_found_by_their_context(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(v0009_sources, "ROWS_AT_ONCE", 2)
    with db.write_alone() as tx:
        metadata.drop_all(tx.connection)
        tx.execute(sa.text("DROP TABLE alembic_version"))
    migrations.upgrade(db, "0008")
    contexts = ["training", "", "nul\0", "eval", "training"]
    with db.write() as tx:
        for number, context in enumerate(contexts):
            one = DatasetInput(name="d", tags={"context": context})
            values = {"run": f"{number:032x}", "data": one.SerializeToString()}
            tx.execute(sa.text(_INPUT_0008), values)
    assert migrations.upgrade(db)
    with db.read() as tx:
        rows = tx.execute(sa.select(run_inputs.c.context).order_by(run_inputs.c.run_id))
        assert rows.scalars().all() == ["training", "", "", "eval", "training"]


_INPUT_0008 = """INSERT INTO run_inputs (run_id, input_id, name, digest, dataset_input)
    VALUES (:run, 'i', 'd', '', :data)"""


def test_points_are_not_compressed_by_the_database(db: Database) -> None:
    if not db.is_postgres:
        pytest.skip("SQLite compresses nothing")
    found = sa.text(
        "SELECT relname, attstorage FROM pg_attribute JOIN pg_class ON attrelid = pg_class.oid "
        "WHERE relname LIKE 'metric\\_%' AND attname = 'data'"
    )
    with db.read() as tx:
        storage = {row.relname: row.attstorage for row in tx.execute(found)}
    external = "e"
    assert storage == dict.fromkeys(
        ("metric_frames", "metric_blocks", "metric_block_parts"), external
    )
