"""``python -m server.fold_killed URL RUN_ID``: for each line N, fold, trim, die at statement N.

Each in a child of its own, whose exit code is told: the imports alone take half a second.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

import sqlalchemy as sa
from runwire_server.metrics import assembly
from runwire_server.store.database import Database

from server.batches import fold, trim


def main(url: str, run_id: str) -> None:
    for line in sys.stdin:
        child = os.fork()
        if not child:
            fold_until(url, run_id, int(line))
            return
        ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.write(sys.stdout.fileno(), b"%d\n" % ended)


def fold_until(url: str, run_id: str, limit: int) -> None:
    assembly.FAN_IN = 2  # so that what is there already is merged
    db = Database(url)
    count = 0

    def one_more(*_: Any) -> None:
        nonlocal count
        count += 1
        if count == limit:
            os.kill(os.getpid(), signal.SIGKILL)

    sa.event.listen(db.engine, "before_cursor_execute", one_more)
    sa.event.listen(db.engine, "commit", one_more)
    fold(db, run_id, thorough=True)
    trim(db, run_id)
    db.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
