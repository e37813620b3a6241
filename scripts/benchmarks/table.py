"""The results for people: coloured where rich is installed, plain text elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Line = tuple[str, str, str, str, str]


def show(results: dict[str, dict[str, Any]]) -> None:
    """Each row's figures, their goals and whether they are met, and its anchors."""
    lines = [line for name, result in results.items() for line in _lines(name, result)]
    _show(("row", "figure", "value", "goal", ""), lines)


def show_peers(results: dict[str, dict[str, Any]]) -> None:
    """Each tracker's figures, and how many times better Runwire's is."""
    lines = [line for name, result in results.items() for line in _peer_lines(name, result)]
    _show(("peer", "figure", "value", "Runwire", ""), lines)


def _show(heads: Line, lines: list[Line]) -> None:
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        _show_plain([heads, *lines])
        return
    table = Table(*heads, box=None, header_style="bold", pad_edge=False)
    table.columns[2].justify = "right"
    for line in lines:
        style = {"met": "green", "NOT MET": "yellow", "FAILED": "red"}.get(line[4])
        style = "bold" if line[0] else style or ("dim" if "anchor" in line[1] else None)
        table.add_row(*line, style=style)
    Console(highlight=False, markup=False).print(table)


def _show_plain(lines: list[Line]) -> None:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for row, figure, value, goal, met in lines:
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


def _peer_lines(name: str, result: dict[str, Any]) -> Iterator[Line]:
    yield name, "", "", "", ""
    if "error" in result:
        yield "", result["error"], "", "", "FAILED"
    ratios = result.get("ratios", {})
    for figure, value in result.get("figures", {}).items():
        yield (
            "",
            figure,
            number(value),
            f"x {number(ratios[figure])}" if figure in ratios else "",
            "",
        )


def number(value: Any) -> str:
    """Three digits where they say enough: 1,234,567, 12.3, 0.0123."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else "-" if value is None else str(value)
