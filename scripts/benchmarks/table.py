"""The results for people: coloured where rich is installed, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

HEADS = ("row", "figure", "value", "goal", "")
Line = tuple[str, str, str, str, str]


def show(results: dict[str, dict[str, Any]]) -> None:
    """Each row's figures, their goals and whether they are met, then its anchors."""
    lines = [line for name, result in results.items() for line in _lines(name, result)]
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _show_plain(lines)
        return
    table = Table(*HEADS, box=None, header_style="bold", pad_edge=False)
    table.columns[2].justify = "right"
    for line in lines:
        style = {"met": "green", "NOT MET": "yellow", "FAILED": "red"}.get(line[4])
        style = "bold" if line[0] else style or ("dim" if "anchor" in line[1] else None)
        table.add_row(*line, style=style)
    Console(highlight=False, markup=False).print(table)


def _show_plain(lines: list[Line]) -> None:
    widths = [max(map(len, column)) for column in zip(HEADS, *lines, strict=True)]
    for row, figure, value, goal, met in [HEADS, *lines]:
        cells = (
            row.ljust(widths[0]), figure.ljust(widths[1]), value.rjust(widths[2]),
            goal.ljust(widths[3]), met,
        )  # fmt: skip
        print("  ".join(cells).rstrip())


def _lines(name: str, result: dict[str, Any]) -> Iterator[Line]:
    yield name, result["what"], "", "", ""
    if "error" in result:
        yield "", result["error"], "", "", "FAILED"
    goals = {goal["figure"]: goal for goal in result.get("goals", ())}
    for figure, value in result.get("figures", {}).items():
        goal = goals.get(figure)
        bound = f"{goal['relation']} {number(goal['limit'])}" if goal else ""
        met = "" if goal is None else "met" if goal["met"] else "NOT MET"
        yield "", figure, number(value), bound, met


def number(value: Any) -> str:
    """Three digits where they say enough: 1,234,567, 12.3, 0.0123."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
