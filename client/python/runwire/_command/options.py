"""How command lines are parsed: options that every command has, verbs, complaints."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

Handler = Callable[[argparse.Namespace], object]


class CommandParser(argparse.ArgumentParser):
    """Complains in one line, and never takes an abbreviated option."""

    def __init__(self, **options: Any):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str) -> NoReturn:
        print(f"runwire: {message} ('{self.prog} --help' shows the usage)", file=sys.stderr)
        raise SystemExit(2)


def common() -> CommandParser:
    """What can stand before and after every command. Absent options set nothing."""
    parser = CommandParser(add_help=False, argument_default=argparse.SUPPRESS)
    group = parser.add_argument_group("common options")
    group.add_argument(
        "-u", "--tracking-uri", metavar="URI", help="a folder, sqlite:///…, grpc://… or http://…"
    )
    group.add_argument("--json", action="store_true", help="print one JSON document")
    group.add_argument("--no-color", action="store_true", help="no colours on the terminal")
    return parser


class Verbs:
    """The verbs of a noun: ``runwire NOUN VERB``."""

    def __init__(self, parser: argparse.ArgumentParser):
        self._actions = parser.add_subparsers(
            title="verbs", metavar="VERB", required=True, parser_class=CommandParser
        )

    def add(
        self,
        name: str,
        handler: Handler,
        help: str,
        examples: str = "",
        aliases: tuple[str, ...] = (),
    ) -> argparse.ArgumentParser:
        """A verb; ``examples`` are command lines, one a line."""
        lines = "".join(f"  {line.strip()}\n" for line in examples.strip().splitlines())
        parser: argparse.ArgumentParser = self._actions.add_parser(
            name,
            aliases=aliases,
            help=help,
            description=help[0].upper() + help[1:] + ".",
            epilog=f"examples:\n{lines}" if lines else None,
            formatter_class=argparse.RawDescriptionHelpFormatter,
            parents=[common()],
        )
        parser.set_defaults(handler=handler)
        return parser


def add_listing(parser: argparse.ArgumentParser, what: str, *, filter: bool = True) -> None:
    """Filter, order and limit of a search."""
    if filter:
        parser.add_argument(
            "--filter", default="", metavar="TEXT", help=f"only the {what} it matches"
        )
    parser.add_argument("--order-by", default="", metavar="TEXT", help="such as 'name DESC'")
    parser.add_argument(
        "-n", "--limit", type=count, default=50, metavar="N", help="at most N (default: 50; 0: all)"
    )


def add_tags(parser: argparse.ArgumentParser, *, change: bool = False) -> None:
    """Tags of something new, as --tag; or to change, as KEY=VALUE and --remove KEY."""
    if change:
        parser.add_argument("tags", nargs="*", type=pair, metavar="KEY=VALUE", help="tags to set")
        parser.add_argument("--remove", action="append", default=[], metavar="KEY")
    else:
        parser.add_argument(
            "--tag", dest="tags", action="append", type=pair, default=[], metavar="KEY=VALUE"
        )


def add_yes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-y", "--yes", action="store_true", help="do not ask on a terminal")


def count(text: str) -> int:
    """The type of an argument that counts something."""
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError("must not be negative")
    return number


def moment(text: str) -> datetime:
    """The type of a time in ISO 8601; without a zone it is of this machine's."""
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):
        example = "2026-05-03 or 2026-05-03T21:27:58Z"
        raise argparse.ArgumentTypeError(f"{text!r} is not a time such as {example}") from None


def pair(text: str) -> tuple[str, str]:
    """The type of a KEY=VALUE argument."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} is not KEY=VALUE")
    return key, value
