"""``runwire server``, ``runwire ui`` and ``runwire db``: handed on to the server's package."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from runwire._command.failure import USAGE, CommandError
from runwire._command.options import CommandParser


def run(name: str, arguments: Sequence[str]) -> int:
    """The server reads its own arguments, so that ``python -m runwire_server`` is the same."""
    try:
        import runwire_server.settings as settings
    except ImportError as error:
        hint = "pip install 'runwire[server]'"
        raise CommandError(f"runwire {name} needs the server: {error}", hint) from error
    if name == "db":
        return _db(arguments)
    if {"-h", "--help", "--version"} & set(arguments):
        settings.parser(prog=f"runwire {name}").parse_args(arguments)  # without its engine: quick
    from runwire_server.__main__ import main

    if name == "ui":
        print("runwire ui: open the http:// address below; Ctrl-C ends it", file=sys.stderr)
    return main(arguments)


def _db(arguments: Sequence[str]) -> int:
    from runwire_server.settings import HELP, read

    parser = CommandParser(
        prog="runwire db",
        description="Look after a server's database.",
        epilog="examples:\n  runwire db upgrade --backend-store-uri postgresql://user@db/runwire\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=CommandParser)
    upgrade = verbs.add_parser("upgrade", help="make the tables, or bring them up to date")
    upgrade.add_argument(
        "--backend-store-uri", default=read([]).backend_store_uri, help=HELP["backend_store_uri"]
    )
    return _upgrade(parser.parse_args(arguments).backend_store_uri)


def _upgrade(uri: str) -> int:
    from contextlib import closing

    from runwire_server.errors import ServiceError
    from runwire_server.store import migrations
    from runwire_server.store.database import Database

    try:
        with closing(Database(uri)) as db:
            changed = migrations.upgrade(db)
    except ServiceError as error:
        raise CommandError(error.message) from error
    except ValueError as error:  # a URI of a database that is not supported
        raise CommandError(str(error), code=USAGE) from error
    print(f"{'upgraded to' if changed else 'already at'} revision {migrations.HEAD}")
    return 0
