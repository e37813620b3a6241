"""``runwire models watch``: what references mean, a line each time that changes."""

from __future__ import annotations

import argparse
import json
import queue
from typing import TYPE_CHECKING

from runwire._command.find import connected
from runwire._command.options import Verbs, count
from runwire._command.output import Style

if TYPE_CHECKING:
    from runwire.registry import ModelChange


def add_to(verbs: Verbs) -> None:
    parser = verbs.add(
        "watch",
        watch,
        "print which version references mean, now and whenever that changes: reference, model, "
        "version, digest or URI; or the reference and why it means nothing",
        """
        runwire models watch fraud@champion churn/production
        runwire models watch fraud@champion --json | while read -r change; do ./deploy; done
        """,
    )
    parser.add_argument("reference", nargs="+", metavar="REFERENCE")
    parser.add_argument(
        "-n", "--limit", type=count, default=0, metavar="N", help="end after N lines (0: never)"
    )


def watch(args: argparse.Namespace) -> int:
    from runwire.registry import ModelWatcher

    style = Style.of(args)
    with connected(args) as client:
        uri = client.tracking_uri
    changes: queue.SimpleQueue[ModelChange] = queue.SimpleQueue()
    with ModelWatcher(args.reference, uri=uri, on_change=changes.put):
        printed = 0
        try:
            while not args.limit or printed < args.limit:
                print(_line(changes.get(), style), flush=True)
                printed += 1
        except KeyboardInterrupt:  # the way to end it
            pass
    return 0


def _line(change: ModelChange, style: Style) -> str:
    fields: dict[str, object] = {"reference": change.reference}
    if change.now is not None:
        fields["model"], fields["version"] = change.now.model, change.now.version
        fields["content"] = change.now.tree_digest or change.now.source_uri
    elif change.error is not None:
        fields["error"] = change.error.reason
    if style.json:
        return json.dumps(fields, ensure_ascii=False)
    return ("  " if style.rich else "\t").join(map(str, fields.values()))
