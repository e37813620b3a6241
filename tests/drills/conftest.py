"""Drills start server processes themselves, so the transport of a backend is all one here."""

from __future__ import annotations

from pathlib import Path

import pytest

# Both databases and both blob stores; the other two combinations would repeat them.
ENOUGH = ("sqlite+file+in-process", "postgres+s3+in-process")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    chosen = config.getoption("backends")
    if chosen != "all":
        return
    spare = [
        item
        for item in items
        if here in item.path.parents and not any(name in item.name for name in ENOUGH)
    ]
    config.hook.pytest_deselected(items=spare)
    left_out = set(spare)
    items[:] = [item for item in items if item not in left_out]
