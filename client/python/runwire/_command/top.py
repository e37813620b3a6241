"""What is running now, with the latest values and the course of a few metrics. On a terminal
it stays up to date until q or Ctrl-C; elsewhere, or with --once, it is printed once."""

from __future__ import annotations

import argparse

from runwire._command import run_table
from runwire._command.find import connected
from runwire._command.options import count
from runwire._command.output import Id, Style, Table
from runwire._command.top_board import KEYS, Board, Line
from runwire._command.top_feeds import Feeds


def add_to(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  runwire top\n  runwire top -e digits --metric loss --metric val/acc\n"
        "  runwire top --filter \"tags.team = 'nlp'\" --once\n"
    )
    parser.add_argument(
        "-e",
        "--experiment",
        action="append",
        default=[],
        metavar="EXPERIMENT",
        help="id or name; may be repeated (default: all)",
    )
    parser.add_argument("--filter", default="", metavar="TEXT", help="only the runs it matches")
    parser.add_argument(
        "-m",
        "--metric",
        action="append",
        default=[],
        metavar="KEY",
        help=f"which metrics; may be repeated (default: the first {KEYS} of each run)",
    )
    parser.add_argument(
        "-n", "--limit", type=count, default=20, metavar="N", help="at most N runs (default: 20)"
    )
    parser.add_argument("--once", action="store_true", help="print it once and end")
    parser.set_defaults(handler=top)


def top(args: argparse.Namespace) -> object:
    style = Style.of(args)
    with connected(args) as client:
        board = Board(args.metric, args.limit)
        feeds = Feeds(client, board, args)
        if args.once or style.json or not style.rich:
            feeds.search()
            feeds.load()
            return _snapshot(board)
        _live(board, feeds, style)
        return 0


def _live(board: Board, feeds: Feeds, style: Style) -> None:
    from runwire._command.top_screen import show

    try:
        feeds.start()
        show(board, feeds, style)
    except KeyboardInterrupt:  # the way to end it
        pass
    finally:
        feeds.close()


def _snapshot(board: Board) -> Table:
    lines = board.lines()
    columns = ("run", "name", "state", "age", "metric", "last", "")
    rows = [row for line in lines for row in _rows(line)]
    return Table(columns, rows, [_document(line) for line in lines], empty="nothing is running")


def _rows(line: Line) -> list[tuple[object, ...]]:
    run = line.run
    head = (Id(run.run_id), run.name, run_table.state(run), line.age)
    metrics: list[tuple[object, ...]] = [
        (key, one.last, str(one.course)) for key, one in line.metrics.items()
    ]
    return [(*head, *metric) for metric in metrics or [("", "", "")]]


def _document(line: Line) -> dict[str, object]:
    return {
        "run_id": line.run.run_id,
        "name": line.run.name,
        "state": run_table.state(line.run),
        "age_s": None if line.age is None else line.age.total_seconds(),
        "metrics": {key: one.last for key, one in line.metrics.items()},
    }
