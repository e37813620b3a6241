"""ResolveModels out of memory: what is known of a registry at one of its revisions.

Who has seen revision N has seen everything up to N, so answers of revision N hold until
the registry's revision is another, and then all but those of the models that have changed.

What this process commits makes its snapshot doubtful before the commit is acknowledged, so
that it answers with what it has acknowledged. What other servers commit is noticed because
no answer comes from a snapshot that was compared with the database more than ``STALE_S``
ago: thousands of calls a second share one comparison. Without the database there are no
answers, rather than old ones.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Collection, Sequence

from runwire_server.errors import FieldInvalid, RevisionAhead
from runwire_server.store import model_event, model_resolve, model_row
from runwire_server.store.database import Announcement, Database
from runwire_server.store.experiment import workspace_of
from runwire_server.store.model_answers import Answers
from runwire_server.store.model_resolve import Answer

# Past the first, one call compares while others go on; past the second, all wait for it.
DUE_S, STALE_S = 0.05, 0.1
MAX_WORKSPACES = 1000


class _Known:
    """How far one workspace is known."""

    def __init__(self, workspace: str):
        self.workspace = workspace
        self.scope = object()
        self.revision = -1
        self.compared_s = float("-inf")
        self.compared_commits = 0
        self.commits = 0
        self.comparing = threading.Lock()

    def is_good(self, min_revision: int, within_s: float) -> bool:
        return (
            self.commits == self.compared_commits
            and self.revision >= min_revision
            and time.monotonic() - self.compared_s < within_s
        )


class ModelSnapshot:
    """Safe for threads."""

    def __init__(self, db: Database):
        self._db = db
        self._lock = threading.Lock()
        self._answers = Answers()
        self._workspaces: OrderedDict[str, _Known] = OrderedDict()
        db.listen(self._committed)

    def resolve(self, references: Sequence[str], workspace: str, min_revision: int = 0) -> bytes:
        """A serialized ResolveModelsResponse: an answer for each reference, in order.

        All answers and the revision are of one moment, not before the call by more than
        ``STALE_S``. Raises ``RevisionAhead`` where the registry is not at ``min_revision`` yet.
        """
        model_resolve.check(references)
        if min_revision < 0:
            raise FieldInvalid("min_revision", "must not be negative")
        known = self._known(workspace_of(workspace))
        self._catch_up(known, min_revision)
        with self._lock:
            revision = known.revision
            found = [self._answers.get(known.scope, reference) for reference in references]
        answers = [one for one in found if one is not None]
        if len(answers) < len(references):
            revision, answers = self._ask(known, references, found, revision)
        return model_resolve.joined(references, answers, revision)

    def resolve_then(self, references: Sequence[str], workspace: str, at: int) -> bytes:
        """What they meant at a time (µs), asked of the database: of the past nothing is kept."""
        model_resolve.check(references)
        workspace = workspace_of(workspace)
        with self._db.read() as tx:
            revision = model_event.current(tx, workspace)
            found = {one: model_resolve.answer(tx, workspace, one, at) for one in references}
        return model_resolve.joined(references, [found[one] for one in references], revision)

    def _known(self, workspace: str) -> _Known:
        with self._lock:
            known = self._workspaces.get(workspace)
            if known is None:
                known = self._workspaces[workspace] = _Known(workspace)
                if len(self._workspaces) > MAX_WORKSPACES:
                    self._workspaces.popitem(last=False)
            self._workspaces.move_to_end(workspace)
            return known

    def _committed(self, change: Announcement) -> None:
        with self._lock:
            known = self._workspaces.get(change.name)
            if change.kind == model_event.REGISTRY and known is not None:
                known.commits += 1

    def _catch_up(self, known: _Known, min_revision: int) -> None:
        if known.is_good(min_revision, DUE_S):
            return
        must_wait = not known.is_good(min_revision, STALE_S)
        if not known.comparing.acquire(blocking=must_wait):
            return
        try:
            if not known.is_good(min_revision, DUE_S):  # another call has not done it meanwhile
                self._compare(known)
        finally:
            known.comparing.release()
        if known.revision < min_revision:
            raise RevisionAhead(known.revision, min_revision)

    def _compare(self, known: _Known) -> None:
        """Know what is committed now. One that asks for answers may get in between, with what
        was committed a moment before: then once more."""
        begun_s = time.monotonic()
        while known.compared_s < begun_s:
            self._ask(known, (), (), known.revision)

    def _ask(
        self,
        known: _Known,
        references: Sequence[str],
        found: Sequence[Answer | None],
        since: int,
    ) -> tuple[int, list[Answer]]:
        """Complete what was ``found`` at revision ``since``; brings the snapshot up to date."""
        commits, asked_s = known.commits, time.monotonic()
        with self._db.read() as tx:
            revision = model_event.current(tx, known.workspace)
            changed = model_row.changed_since(tx, known.workspace, since, revision)
            asked = {
                reference: model_resolve.answer(tx, known.workspace, reference)
                for reference, one in zip(references, found, strict=True)
                if one is None or changed is None or one.models & changed
            }
        with self._lock:
            if known.revision == since and revision != since:
                self._move(known, revision, changed)
            if known.revision == revision:
                for reference, one in asked.items():
                    self._answers.put(known.scope, reference, one)
                if asked_s > known.compared_s:
                    known.compared_s, known.compared_commits = asked_s, commits
        return revision, [
            asked[reference] if reference in asked or one is None else one
            for reference, one in zip(references, found, strict=True)
        ]

    def _move(self, known: _Known, revision: int, changed: Collection[str] | None) -> None:
        known.revision = revision
        if changed is None:
            known.scope = object()
            return
        for model in changed:
            self._answers.drop(known.scope, model)
