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
    columns = [marks(has) for has in offered.values()]
    for row, name in enumerate(play.names()):
        told = " | ".join(column[row] for column in columns)
        lines.append(f"| {play.scenario(name)['about']} | {told} |")
    return "\n".join(lines) + "\n"


def marks(capabilities: set[str]) -> list[str]:
    """The column of one runner."""
    needs = (set(play.scenario(name)["needs"]) for name in play.names())
    return ["✓" if need <= capabilities else "–" for need in needs]


def written(name: str) -> list[str]:
    """The column of a runner as the README has it."""
    table = README.read_text("utf-8").split(BEGIN)[1].split(END)[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    place = rows[0].index(name)
    return [row[place] for row in rows[2:]]


def write() -> None:
    before, rest = README.read_text("utf-8").split(BEGIN)
    README.write_text(before + BEGIN + table() + END + rest.split(END)[1], "utf-8")


if __name__ == "__main__":
    write()
