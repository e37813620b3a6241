"""The schema's history, by alembic: run at start, or by ``runwire db upgrade``.

A new migration is a file in ``versions/`` that leads from the last ``HEAD`` to the
new one; a test holds the result equal to ``tables.py``. A database that an older
release wrote is always brought up to date; one of a newer release is refused.

A migration is handed its ``op``, as two threads may open two databases at once: that of
``from alembic import op`` is one for the whole process, and would mix them up.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from runwire_server.errors import StorageUnavailable
from runwire_server.retry import TransactionConflict, retrying
from runwire_server.store.database import Database

HEAD = "0009"


def revision(db: Database) -> str | None:
    """The revision a database is at; None where it is empty."""
    with db.read() as tx:
        if not sa.inspect(tx.connection).has_table("alembic_version"):
            return None
        found: str | None = tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return found


def upgrade(db: Database, to: str = HEAD) -> bool:
    """Bring a database to a revision; False where it was there already.

    Several servers may start on one empty database: one makes the tables, the
    others lose the race, look again and find it done.
    """
    return retrying(lambda: _upgrade(db, to))


def _upgrade(db: Database, to: str) -> bool:
    if revision(db) == to:
        return False
    # Imported only when there is work: it costs a tenth of a second at every start.
    from alembic.operations import Operations
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    script = ScriptDirectory(str(Path(__file__).parent))
    steps = {"fn": lambda at, _: script._upgrade_revs(to, at)}
    try:
        with db.write_alone() as tx:
            context = MigrationContext.configure(tx.connection, opts=steps)
            context.run_migrations(op=Operations(context))
    except CommandError as error:
        raise StorageUnavailable(
            f"the database is of a newer release of Runwire than this one ({error})"
        ) from error
    except sa.exc.DBAPIError as error:
        if revision(db) == to:
            raise TransactionConflict(what="another server made the tables") from error
        raise
    return True
