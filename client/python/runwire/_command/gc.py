"""``runwire gc``: handed on to the server's package."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from runwire._command.failure import USAGE, CommandError
from runwire._command.options import CommandParser
from runwire._command.output import progress, size_text

if TYPE_CHECKING:
    from runwire_server import gc_blobs

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def run(name: str, arguments: Sequence[str]) -> int:
    try:
        from runwire_server.settings import HELP, read
    except ImportError as error:
        hint = "pip install 'runwire[server]'"
        raise CommandError(f"runwire {name} needs the server: {error}", hint) from error
    parser = CommandParser(
        prog=f"runwire {name}",
        description="Remove runs, models and model versions that were deleted some time ago for "
        "good, and artifacts' bytes that none of them holds, and give the space back. Safe "
        "while servers run on the same database.",
        epilog="examples:\n  runwire gc --dry-run\n  runwire gc --older-than 12h\n"
        "  runwire gc --backend-store-uri postgresql://user@db/runwire\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--backend-store-uri", default=read([]).backend_store_uri, help=HELP["backend_store_uri"]
    )
    parser.add_argument(
        "--artifacts-destination",
        default=read([]).artifacts_destination,
        help=HELP["artifacts_destination"],
    )
    parser.add_argument(
        "--older-than",
        type=duration,
        default=duration("30d"),
        metavar="AGE",
        help="deleted so long ago, as 30d, 12h, 5m or 0s (default: 30d)",
    )
    parser.add_argument("--dry-run", action="store_true", help="only tell what would be removed")
    return _collect(parser.parse_args(arguments))


def duration(text: str) -> int:
    """Seconds of "30d", "12h", "5m" or "0s"."""
    found = re.fullmatch(r"(\d{1,9})([smhd])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: write 30d, 12h, 5m or 0s")
    return int(found[1]) * _UNITS_S[found[2]]


def _collect(args: argparse.Namespace) -> int:
    from runwire_server import gc, gc_blobs, gc_registry
    from runwire_server.blobs import open_blobs
    from runwire_server.errors import ServiceError
    from runwire_server.store import migrations
    from runwire_server.store.database import Database

    try:
        with closing(Database(args.backend_store_uri)) as db:
            if migrations.revision(db) != migrations.HEAD:
                raise CommandError(
                    "the database is not of this release", "runwire db upgrade brings it up to date"
                )
            store = open_blobs(args.artifacts_destination)
            models, versions = gc_registry.collect(
                db, args.older_than, dry_run=args.dry_run, on_removed=_tell
            )
            count = gc.collect(db, args.older_than, dry_run=args.dry_run, on_run=_tell)
            with progress("blobs", unit="removed") as bar:
                collected = gc_blobs.collect(
                    db, store, dry_run=args.dry_run, on_progress=_on_progress(bar)
                )
    except ServiceError as error:
        raise CommandError(error.message) from error
    except (ValueError, ImportError) as error:  # a URI that is not supported here
        raise CommandError(str(error), code=USAGE) from error
    done = "to remove" if args.dry_run else "removed"
    found = (_counted(count, "run"), _counted(models, "model"), _counted(versions, "model version"))
    print(f"{', '.join(found)} {done}")
    swept = (
        _counted(collected.blobs, "blob"),
        _counted(collected.uploads, "upload"),
        _counted(collected.orphans, "orphan"),
    )
    print(f"{', '.join(swept)} {done}, {size_text(collected.size_bytes)}")
    return 0


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


def _on_progress(
    bar: Callable[[int, int], None] | None,
) -> Callable[[gc_blobs.Collected], None]:
    def tell(collected: gc_blobs.Collected) -> None:
        if bar is not None:
            done = collected.blobs + collected.uploads + collected.orphans
            bar(done, done)

    return tell


def _tell(name: str) -> None:
    if sys.stderr.isatty():
        print(name, file=sys.stderr)
