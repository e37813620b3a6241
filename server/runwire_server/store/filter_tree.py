"""The syntax tree of a filter and of an order. ``filter`` makes it from text."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a key names. The value is the word for it in messages."""

    ATTRIBUTE = "attribute"
    METRIC = "metric"
    PARAM = "param"
    TAG = "tag"
    DATASET = "dataset"


PREFIXES = {
    "metrics": Kind.METRIC,
    "metric": Kind.METRIC,
    "params": Kind.PARAM,
    "parameters": Kind.PARAM,
    "parameter": Kind.PARAM,
    "param": Kind.PARAM,
    "tags": Kind.TAG,
    "tag": Kind.TAG,
    "datasets": Kind.DATASET,
    "dataset": Kind.DATASET,
    "attributes": Kind.ATTRIBUTE,
    "attribute": Kind.ATTRIBUTE,
    "attr": Kind.ATTRIBUTE,
    "run": Kind.ATTRIBUTE,
}
FUNCTIONS = ("last", "min", "max", "mean", "count")


@dataclass(frozen=True, slots=True)
class Key:
    """One thing that is compared, sorted by or shown: ``min(metrics.loss)``."""

    kind: Kind
    name: str
    function: str = "last"  # of a metric: last, min, max, mean, count
    position: int = 0

    @property
    def label(self) -> str:
        """The name under which ``Run.metrics`` carries it: "loss", "min(loss)"."""
        return self.name if self.function == "last" else f"{self.function}({self.name})"


@dataclass(frozen=True, slots=True)
class Value:
    """A literal: ``text`` without its quotes, or a number as it was written."""

    text: str
    is_number: bool
    position: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """operator: = != < <= > >= LIKE ILIKE IN, "NOT LIKE" "NOT ILIKE" "NOT IN", "IS NULL"."""

    key: Key
    operator: str
    values: tuple[Value, ...]  # several for IN, none for IS NULL
    position: int  # of the operator


@dataclass(frozen=True, slots=True)
class Not:
    operand: Expression


@dataclass(frozen=True, slots=True)
class And:
    operands: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Or:
    operands: tuple[Expression, ...]


Expression = Comparison | Not | And | Or


@dataclass(frozen=True, slots=True)
class OrderTerm:
    key: Key
    descending: bool
