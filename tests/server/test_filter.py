"""The grammar of filters and orders: what is read as what, and where an error is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from runwire_server.errors import FieldInvalid, FilterSyntax, ServiceError
from runwire_server.store.columns import parse_columns
from runwire_server.store.filter import MAX_DEPTH, MAX_LIST, MAX_TERMS, parse, parse_order
from runwire_server.store.filter_tree import And, Comparison, Expression, Kind, Not, Or


def shown(expression: Expression | None) -> str:
    """The tree in brackets, to compare with."""
    match expression:
        case None:
            return ""
        case Not(operand):
            return f"not({shown(operand)})"
        case And(operands):
            return "and(" + ", ".join(map(shown, operands)) + ")"
        case Or(operands):
            return "or(" + ", ".join(map(shown, operands)) + ")"
    key = expression.key
    function = f"{key.function} " if key.function != "last" else ""
    values = [value.text if value.is_number else repr(value.text) for value in expression.values]
    return " ".join([f"{function}{key.kind}:{key.name}", expression.operator, *values])


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("", ""),
        (" \n\t", ""),
        ("metrics.loss < 0.1", "metric:loss < 0.1"),
        ("metrics.loss<0.1", "metric:loss < 0.1"),
        ("metric.x<-1e-3", "metric:x < -1e-3"),
        ("metrics.x > .5 and metrics.x<5.", "and(metric:x > .5, metric:x < 5.)"),
        ("metrics.x = NaN or metrics.x = -inf", "or(metric:x = NaN, metric:x = -inf)"),
        ("params.lr == 1", "param:lr = 1"),
        ("params.lr <> '1'", "param:lr != '1'"),
        ('params.model = "CNN"', "param:model = 'CNN'"),
        ("param.a = 'it''s'", 'param:a = "it\'s"'),
        ("parameters.a = ''", "param:a = ''"),
        ("params.lr-decay = '1'", "param:lr-decay = '1'"),
        ("metrics.val/loss >= 1", "metric:val/loss >= 1"),
        ("metrics.hits@10 >= 1", "metric:hits@10 >= 1"),
        ("tags.mlflow.source.name LIKE 'a%'", "tag:mlflow.source.name LIKE 'a%'"),
        ('tags."mlflow.note" ilike "a"', "tag:mlflow.note ILIKE 'a'"),
        ("metrics.`my key/1` != 2", "metric:my key/1 != 2"),
        ("metrics.`a``b` != 2", "metric:a`b != 2"),
        ('tag."say ""hi""" = \'x\'', "tag:say \"hi\" = 'x'"),
        ("tags.größe = 'ü'", "tag:größe = 'ü'"),
        ("attributes.status = 'FINISHED'", "attribute:status = 'FINISHED'"),
        ("attr.`run name` = 'a'", "attribute:run name = 'a'"),
        ("`Run name` = 'a'", "attribute:Run name = 'a'"),
        ("run.name = 'a'", "attribute:name = 'a'"),
        ("source.name = 'a'", "attribute:source.name = 'a'"),
        ("dataset.digest = 'a'", "dataset:digest = 'a'"),
        ("name NOT LIKE 'a'", "attribute:name NOT LIKE 'a'"),
        ("name not ilike 'a'", "attribute:name NOT ILIKE 'a'"),
        ("name IN ('a',\"b\")", "attribute:name IN 'a' 'b'"),
        ("version not in (1, 2)", "attribute:version NOT IN 1 2"),
        ("end_time IS NULL", "attribute:end_time IS NULL"),
        ("end_time is not null", "not(attribute:end_time IS NULL)"),
        ("min(metrics.loss) < 1", "min metric:loss < 1"),
        ("MAX ( metrics.`a b` ) < 1", "max metric:a b < 1"),
        ("last(metrics.x) < 1", "metric:x < 1"),
        ("count(metrics.x) > 1", "count metric:x > 1"),
        ("min = 'a'", "attribute:min = 'a'"),
        ("params.and = 'or'", "param:and = 'or'"),
        ("Params.x = 'a'", "param:x = 'a'"),
    ],
)
def test_comparison_is_read(text: str, tree: str) -> None:
    assert shown(parse(text)) == tree


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a=1 OR b=2 AND c=3", "or(a, and(b, c))"),
        ("a=1 AND b=2 OR c=3", "or(and(a, b), c)"),
        ("(a=1 OR b=2) AND c=3", "and(or(a, b), c)"),
        ("NOT a=1 AND b=2", "and(not(a), b)"),
        ("NOT (a=1 AND b=2)", "not(and(a, b))"),
        ("NOT NOT a=1", "not(not(a))"),
        ("a=1 AND b=2 AND c=3", "and(a, b, c)"),
        ("a=1 AND (b=2 AND c=3)", "and(a, and(b, c))"),
        ("((a=1))", "a"),
    ],
)
def test_and_binds_stronger_than_or_and_not_strongest(text: str, tree: str) -> None:
    expression = shown(parse(text))
    for number, name in enumerate("abc", 1):
        expression = expression.replace(f"attribute:{name} = {number}", name)
    assert expression == tree


@pytest.mark.parametrize(
    ("text", "position", "problem"),
    [
        ("name", 4, "expected a comparison, not the end"),
        ("name =", 6, "expected a value"),
        ("name = abc", 7, "single quotes"),
        ("name = `abc`", 7, "expected a value"),
        ("name = NULL", 7, "IS NULL"),
        ("name = 'abc", 7, "closing '"),
        ('tags."abc = 1', 5, 'closing "'),
        ("name ! 'a'", 5, "not a comparison"),
        ("name = 'a' state = 'b'", 11, "expected AND, OR or the end"),
        ("(name = 'a'", 11, "expected ')'"),
        ("name = 'a')", 10, "expected AND"),
        ("name = 'a' AND", 14, "expected a name"),
        ("AND name = 'a'", 0, "expected a name"),
        ("()", 1, "expected a name"),
        ("'a' = name", 0, "expected a name"),
        ("name NOT = 'a'", 9, "expected LIKE"),
        ("name IN 'a'", 8, "expected '('"),
        ("name IN ()", 9, "expected a value"),
        ("name IN ('a' 'b')", 13, "expected ')'"),
        ("name IS 'a'", 8, "expected NULL"),
        ("metrics. < 1", 0, "a name is missing"),
        ('nonsense."a" = 1', 0, "unknown prefix 'nonsense'"),
        ("median(metrics.x) < 1", 0, "unknown function 'median'"),
        ("min(params.x) < 1", 4, "takes a metric"),
        ("min(min(metrics.x)) < 1", 4, "takes a metric"),
        ("name = 'a\x00b'", 9, "NUL"),
        ("name = '\ud800'", 8, "not a valid character"),
        ("metrics.x > 1-2", 12, "not a value"),
        (f"metrics.x > {'9' * 65}", 12, "not a value"),
        ("name = 'a' AND " * 2 + "name ='a' OR name", 47, "expected a comparison"),
    ],
)
def test_syntax_error_has_its_position(text: str, position: int, problem: str) -> None:
    with pytest.raises(FilterSyntax) as raised:
        parse(text)
    assert problem in raised.value.message
    assert raised.value.metadata == {"position": str(position), "field": "filter"}


def test_limits_are_kept_and_said() -> None:
    term = "name = 'a'"
    deepest = "(" * MAX_DEPTH + term + ")" * MAX_DEPTH
    longest_list = "run_id IN (" + ", ".join(f"'{i:032x}'" for i in range(MAX_LIST)) + ")"
    for text in (" AND ".join([term] * MAX_TERMS), deepest, longest_list):
        assert parse(text) is not None
    for text, problem in (
        (" AND ".join([term] * (MAX_TERMS + 1)), "more than 64 comparisons"),
        (f"({deepest})", "nested deeper than 16"),
        ("NOT " * 17 + term, "nested deeper than 16"),
        (longest_list[:-1] + ", 'x')", "more than 1000 values"),
        (f"name = '{'x' * 4096}'", "4096 bytes without its lists"),
        (f"name IN ('{'x' * 65536}')", "the limit is 65536"),
    ):
        with pytest.raises(FilterSyntax, match=problem):
            parse(text)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", []),
        ("start_time", [("start_time", False)]),
        ("metrics.loss ASC, start_time DESC, params.lr",
         [("loss", False), ("start_time", True), ("lr", False)]),
        ("attributes.start_time desc", [("start_time", True)]),
        ("min(metrics.`my loss`) desc,tags.\"a,b\"", [("min(my loss)", True), ("a,b", False)]),
        ("`Run Name`", [("Run Name", False)]),
    ],
)  # fmt: skip
def test_order_is_read(text: str, terms: list[tuple[str, bool]]) -> None:
    assert [(term.key.label, term.descending) for term in parse_order(text)] == terms


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("name sideways", 5),
        ("name,", 5),
        (",name", 0),
        ("desc", 0),
        ("name desc asc", 10),
        ("median(metrics.x)", 0),
        (", ".join(["name"] * 9), 48),
    ],
)
def test_order_error_has_its_position(text: str, position: int) -> None:
    with pytest.raises(FilterSyntax) as raised:
        parse_order(text)
    assert raised.value.metadata == {"position": str(position), "field": "order_by"}


def test_columns_are_keys_quoted_or_not() -> None:
    columns = parse_columns(
        ["params.lr", "metrics.my key", "metrics.`my key`", "min(metrics.a (b))", "count(metric.x)",
         "tags.mlflow.note", 'tags."quoted"', 'metrics.5" disc', "start_time", "max(metrics.`a b`)"]
    )  # fmt: skip
    assert [(key.kind, key.label) for key in columns] == [
        (Kind.PARAM, "lr"),
        (Kind.METRIC, "my key"),
        (Kind.METRIC, "my key"),
        (Kind.METRIC, "min(a (b))"),
        (Kind.METRIC, "count(x)"),
        (Kind.TAG, "mlflow.note"),
        (Kind.TAG, "quoted"),
        (Kind.METRIC, '5" disc'),
        (Kind.ATTRIBUTE, "start_time"),
        (Kind.METRIC, "max(a b)"),
    ]


@pytest.mark.parametrize(
    "column",
    ["", "nonsense", "metrics.", "x.y", "min(params.a)", "min(x)", "tags.a\x00", "metrics." * 999],
)
def test_bad_column_names_the_field(column: str) -> None:
    with pytest.raises(FieldInvalid) as raised:
        parse_columns(["params.lr", column])
    assert raised.value.metadata["field"] == "columns"


WORDS = """
name state metrics.a params.b tags.`c` tags. "q" 'str' ' " ` 1 -2.5e3 1e999 nan = != < >= ! ( ) ,
and or not in is null like ilike min( desc asc . % é
"""
words = st.sampled_from([*WORDS.split(), "\\", "\x00", "\ud800"])
soup = st.one_of(st.text(), st.lists(words).map(" ".join), st.lists(words).map("".join))


def raised_by(call: Callable[[Any], object], argument: object) -> ServiceError | None:
    try:
        call(argument)
    except ServiceError as error:
        return error
    return None


@given(soup)
def test_any_text_is_a_filter_or_a_syntax_error(text: str) -> None:
    for read in (parse, parse_order):
        error = raised_by(read, text)
        if error is not None:
            assert isinstance(error, FilterSyntax)
            assert 0 <= int(error.metadata["position"]) <= len(text)


@given(soup)
def test_any_text_is_a_column_or_an_error(text: str) -> None:
    error = raised_by(parse_columns, [text])
    assert error is None or error.metadata["field"] == "columns"


@given(st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), min_size=1))
def test_any_name_and_any_string_can_be_quoted(name: str) -> None:
    for quote in '"`':
        quoted = quote + name.replace(quote, quote * 2) + quote
        string = "'" + name.replace("'", "''") + "'"
        expression = parse(f"tags.{quoted} = {string}")
        assert isinstance(expression, Comparison)
        assert (expression.key.name, expression.values[0].text) == (name, name)
