"""The command ``runwire``. Each noun is a module here, imported when it is asked for.

A module has ``add_to(parser)``, which adds its arguments and says by
``set_defaults(handler=…)`` what runs; a handler returns what to print (``output``).
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Sequence

from runwire._command.options import CommandParser, common

COMMANDS = {
    "experiments": ("experiments", "list, create, change, delete and restore experiments"),
    "runs": ("runs", "list, search, show, compare, change, stop and delete runs"),
    "metrics": ("metrics", "list, draw and follow the metrics of a run, or export their points"),
    "top": ("top", "show what is running now, live: state, speed and metrics"),
    "artifacts": ("artifacts", "list, fetch, send, verify and remove files of runs and models"),
    "models": ("models", "publish model versions, move aliases and stages, resolve references"),
    "sync": ("sync", "send what an offline or killed job has left"),
    "doctor": ("doctor", "check client, server, clock, disk and waiting data"),
    "gc": ("gc", "remove what is in the trash, and give its space back"),
    "server": ("server", "run a server"),
    "ui": ("server", "run a server on this machine's data and print where its page is"),
    "db": ("server", "bring a database up to date: runwire db upgrade"),
}

EPILOG = """\
commands:
{commands}

'runwire COMMAND --help' has examples. Where the data is comes from --tracking-uri or
RUNWIRE_TRACKING_URI (default: the folder ./runwire-data). On a terminal with rich
installed you get tables; elsewhere tab-separated lines without a header; with --json
one JSON document.

exit codes:
  0  done
  1  it failed
  2  wrong usage
  3  not found
  4  the server is away
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line (``sys.argv`` where None); returns its exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows ASCII only
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse has printed help, a version or a complaint
        return stop.code if isinstance(stop.code, int) else 1
    except BrokenPipeError:
        return _reader_gone()
    except KeyboardInterrupt:
        print("runwire: interrupted", file=sys.stderr)
        return 130
    except Exception as error:  # the outermost seam: a person gets one line, no traceback
        from runwire._command.failure import report

        return report(error, arguments)


def top_parser() -> argparse.ArgumentParser:
    """The parser of what stands before the command."""
    listed = "\n".join(f"  {name:12} {text}" for name, (_, text) in COMMANDS.items())
    parser = CommandParser(
        prog="runwire",
        description="Experiment tracking: runs, metrics, artifacts and models.",
        epilog=EPILOG.format(commands=listed),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common()],
        usage="runwire [options] COMMAND ...",
    )
    parser.add_argument("--version", action="store_true", help="print the version and exit")
    parser.add_argument("command", nargs="?", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    return parser


def _run(argv: list[str]) -> int:
    parser = top_parser()
    options = parser.parse_args(argv)
    if options.version:
        import runwire

        print(f"runwire {runwire.__version__}")
        return 0
    if options.command is None:
        parser.print_help()
        return 2
    if options.command not in COMMANDS:
        parser.error(_unknown(options.command))
    module = importlib.import_module(f"runwire._command.{COMMANDS[options.command][0]}")
    if hasattr(module, "run"):  # takes its arguments as they are
        if hasattr(options, "tracking_uri"):
            parser.error(f"{options.command} takes --backend-store-uri, not --tracking-uri")
        code: int = module.run(options.command, options.arguments)
        return code
    return _dispatch(module, options)


def _dispatch(module: object, options: argparse.Namespace) -> int:
    from runwire._command import output

    name, arguments = options.command, options.arguments
    parser = CommandParser(
        prog=f"runwire {name}",
        description=(module.__doc__ or "").strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common()],
    )
    module.add_to(parser)  # type: ignore[attr-defined]
    del options.command, options.arguments, options.version
    args = parser.parse_args(arguments, options)
    printable = args.handler(args)
    return output.show(printable, output.Style.of(args))


def _unknown(command: str) -> str:
    import difflib

    near = difflib.get_close_matches(command, COMMANDS, 1)
    return f"no command {command!r}" + (f"; did you mean {near[0]!r}?" if near else "")


def _reader_gone() -> int:
    """The reader of a pipe has seen enough (``runwire runs ls | head``): not a failure."""
    import os

    # The interpreter flushes stdout once more when it ends, and must not fail there.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
