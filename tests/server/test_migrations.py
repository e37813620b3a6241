"""The schema is exactly tables.py, however it came about."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from runwire_server.errors import StorageUnavailable
from runwire_server.store import migrations
from runwire_server.store.database import Database
from runwire_server.store.tables import metadata


def test_migrations_lead_to_exactly_the_tables(db: Database) -> None:
    with db.read() as tx:
        context = MigrationContext.configure(tx.connection)
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.HEAD]


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


def test_database_of_a_newer_release_is_refused_and_left_alone(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path / 'x.db'}")
    migrations.upgrade(db)
    with db.write() as tx:
        tx.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageUnavailable, match="newer release"):
        migrations.upgrade(db)
    assert migrations.revision(db) == "9999"
    db.close()
