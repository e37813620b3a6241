"""The table of client/README.md: which client does what. ``python -m conformance.matrix`` in
tests/ writes it anew, from what the runners offer; what one offers must pass."""

from __future__ import annotations

from pathlib import Path

from conformance import play
from conformance.languages import RUNNERS, RunnerProcess

README = Path(__file__).parents[2] / "client" / "README.md"
BEGIN, END = "<!-- matrix -->\n", "<!-- end of matrix -->\n"


def table() -> str:
    """A row a scenario, a column a runner."""
    offered = {}
    for language in (None, *RUNNERS):
        runner = RunnerProcess(language)
        offered[language.name if language else "python"] = set(runner.about["capabilities"])
        runner.close()
    lines = [f"| | {' | '.join(offered)} |", f"|---|{'---|' * len(offered)}"]
    for name in play.names():
        told = play.scenario(name)
        marks = ["✓" if set(told["needs"]) <= has else "–" for has in offered.values()]
        lines.append(f"| {told['about']} | {' | '.join(marks)} |")
    return "\n".join(lines) + "\n"


def written() -> str:
    """As the README has it."""
    return README.read_text("utf-8").split(BEGIN)[1].split(END)[0]


def write() -> None:
    before, rest = README.read_text("utf-8").split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    write()
