"""Conditions as Python code, compared with what an interpreter of CEL says of the same text and the same values."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from services.fraud.domain.condition_code import compile_conditions
from services.fraud.domain.features import CATALOGUE, PLACES, Value
from services.fraud.domain.interpreter import cel
from services.fraud.domain.rule_conditions import Conditions
from services.fraud.domain.rules import Rule

INTS = ("usd_minor", "legs", "sender_sum_30d")
BOOLS = ("device_given", "device_known")
EDGES = (0, 1, 2, 3, 7, 2**31, 2**62, 2**63 - 1)

NUMBERS = st.recursive(
    st.sampled_from([*INTS, *map(str, EDGES)]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/%"), inner).map(" ".join),
        inner.map("({})".format),
        inner.map("-({})".format),
    ),
    max_leaves=6,
)
CONDITIONS = st.recursive(
    st.one_of(
        st.sampled_from([*BOOLS, "true", "false"]),
        st.tuples(NUMBERS, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS).map(" ".join),
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["&&", "||"]), inner).map(" ".join),
        st.tuples(inner, st.sampled_from(["==", "!=", "<"]), inner).map(lambda part: "({}) {} ({})".format(*part)),
        inner.map("!({})".format),
        inner.map("({})".format),
        st.tuples(inner, inner, inner).map(lambda part: "({}) ? ({}) : ({})".format(*part)),
    ),
    max_leaves=6,
)


def rule(condition: str) -> Rule:
    return Rule(id="tried", title="Tried", when=condition, message="Tried", typology="other", examples=(), points=1)


def features(ints: tuple[int, ...], bools: tuple[bool, ...]) -> list[Value]:
    values: list[Value] = [False if feature.kind == "bool" else 0 for feature in CATALOGUE]
    for name, value in zip((*INTS, *BOOLS), (*ints, *bools), strict=True):
        values[PLACES[name]] = value
    return values


def interpreted(condition: str, values: list[Value]) -> tuple[int, int]:
    context = cel.Context(variables={name: values[PLACES[name]] for name in (*INTS, *BOOLS)})
    try:
        return int(cel.compile(condition).execute(context)), 0
    except (ArithmeticError, ValueError, RuntimeError):
        return 0, 1


@settings(max_examples=300, deadline=None)
@given(
    CONDITIONS,
    st.tuples(*[st.one_of(st.integers(-5, 5), st.sampled_from([*EDGES, -(2**63), -(2**62)]))] * len(INTS)),
    st.tuples(*[st.booleans()] * len(BOOLS)),
)
@example("usd_minor / legs == -2 && usd_minor % legs == -1", (-7, 3, 0), (False, False))
@example("usd_minor / legs > 0 || device_given", (1, 0, 0), (True, False))
@example("usd_minor / legs > 0 && device_given", (1, 0, 0), (False, False))
@example("usd_minor / legs > 0", (-(2**63), -1, 0), (False, False))
@example("device_given || device_known && false", (0, 0, 0), (True, False))
@example("usd_minor - legs - 1 == 0 && 2 + 3 * 4 == 14 && !device_given == true", (3, 2, 0), (False, False))
def test_what_the_code_says_is_what_the_interpreter_says(
    condition: str, ints: tuple[int, ...], bools: tuple[bool, ...]
) -> None:
    values = features(ints, bools)
    assert Conditions([rule(condition)]).evaluate(values) == interpreted(condition, values)


@pytest.mark.parametrize(
    "condition",
    [
        pytest.param("usd_minor in [1, 2]", id="list"),
        pytest.param("legs == 0x1", id="hexadecimal"),
        pytest.param("legs // 2\n == 1", id="comment"),
        pytest.param("!!device_given", id="double negation"),
        pytest.param("legs == 9223372036854775808 - 1", id="too large"),
        pytest.param("(" * 60 + "device_given" + ")" * 60, id="deep"),
        pytest.param("device_given + 1 == 2", id="mixed"),
        pytest.param("(legs < 2) < 1", id="comparison of kinds"),
        pytest.param("legs", id="number"),
        pytest.param("legs == 1 legs", id="two"),
        pytest.param("device_given ? true", id="half a choice"),
        pytest.param("(legs == 1", id="open"),
    ],
)
def test_what_the_code_does_not_cover_is_left_to_the_interpreter(condition: str) -> None:
    code, left_over = compile_conditions(["legs == 1", condition, "legs == 2"])
    assert left_over == [1]
    assert code(features((0, 2, 0), (True, False))) == 0b100


def test_one_rule_left_to_the_interpreter_joins_the_others() -> None:
    conditions = Conditions([rule("legs == 1"), rule("usd_minor in [1, 2]"), rule("usd_minor / (legs - 1) == 2")])
    assert conditions.evaluate(features((2, 2, 0), (False, False))) == (0b110, 0)
    assert conditions.evaluate(features((2, 1, 0), (False, False))) == (0b011, 0b100)
