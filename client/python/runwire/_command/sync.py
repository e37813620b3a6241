"""Send what an offline or killed job has left on this machine.

Every journal goes to the server that its job logged to. What is delivered is removed; what
a server refuses or cannot take now stays for another time. Ends with code 1 where something
was refused or cannot be read and with 4 where a server is away."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runwire._command.failure import AWAY, FAILED, NOT_FOUND, CommandError
from runwire._command.output import Table

if TYPE_CHECKING:
    from runwire._uploader import SyncResult


_TROUBLE = ("away", "refused", "damaged")


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "examples:\n  runwire sync\n  runwire sync /mnt/job-17/journals\n"
    parser.add_argument(
        "directory",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="folder with journals, or one of them (default: RUNWIRE_DIR, else where jobs that "
        "use the tracking URI keep theirs)",
    )
    parser.add_argument(
        "--timeout",
        type=float,
        default=20.0,
        metavar="S",
        help="seconds to wait for a server that is away (default: 20)",
    )
    parser.set_defaults(handler=sync)


def sync(args: argparse.Namespace) -> Table:
    from runwire._settings import journals_folder
    from runwire._uploader import sync as send
    from runwire._uri import resolve_uri

    directory = args.directory or journals_folder(resolve_uri(getattr(args, "tracking_uri", None)))
    if args.directory and not directory.is_dir():
        raise CommandError(f"there is no folder {directory}", code=NOT_FOUND)
    told = sys.stderr.isatty() and not getattr(args, "json", False)
    results = send(directory, _tell if told else None, give_up_s=args.timeout)
    states = {one.state for one in results}
    return Table(
        ("journal", "state", "problem"),
        [(one.directory, one.state, _problem(one)) for one in results],
        [_document(one) for one in results],
        marked=frozenset(n for n, one in enumerate(results) if one.state in _TROUBLE),
        empty="nothing waits to be sent",
        code=FAILED if states & {"refused", "damaged"} else AWAY if "away" in states else 0,
    )


def _tell(result: SyncResult) -> None:
    print(f"{result.directory.name}: {result.state}", file=sys.stderr)


def _problem(result: SyncResult) -> str:
    refused = [f"run {run_id}: {reason}" for run_id, reason in result.refused.items()]
    return "; ".join([*filter(None, [result.message]), *refused])


def _document(result: SyncResult) -> dict[str, Any]:
    return {**result._asdict(), "directory": str(result.directory)}
