"""Reading a rule set and refusing a wrong one, naming the line: before it is stored, not when a transfer waits for it.

What is checked: the shape, that each condition is CEL, uses features that exist and compares what can be compared
(Google's own checker does that), that its errors are treated as its action needs, that messages name features, and that
every example of every rule holds.
"""

import re
from collections.abc import Iterator
from string import Formatter
from typing import Any, Final, get_args

import msgspec  # tidy: allow impure-value-code: as in rules
import yaml  # tidy: allow impure-value-code: a parser of text it is given
from cel_expr_python import cel as checker  # tidy: allow impure-value-code: a type checker; it reads nothing

from services.fraud.domain.features import BY_NAME, CATALOGUE, Value
from services.fraud.domain.rule_conditions import Conditions
from services.fraud.domain.rules import Action, Example, OnError, Rule, RulesetDocument, Typology
from services.fraud.domain.ruleset_yaml import read_yaml, refused

_CHOICES: Final = {"action": Action, "on_error": OnError, "typology": Typology}
_KINDS: Final = {"int": checker.Type.INT, "bool": checker.Type.BOOL}
# Of all that CEL has, macros alone repeat: one in the other, a thousand characters keep a process for minutes, and
# everybody's transfers with it. Without `.` there are none. A pattern is compiled each time, and no feature is text.
_COSTS_TOO_MUCH: Final = re.compile(r"\.(?!\d)|\bmatches\b")
_CHECKER: Final = checker.NewEnv(variables={feature.name: _KINDS[feature.kind] for feature in CATALOGUE})


def read_ruleset(text: str) -> RulesetDocument:
    """Return the rule set.

    Raises: Unprocessable `ruleset_invalid`, whose detail says in which line and why; `line` is that line, from 1.
    """
    plain, root = read_yaml(text)
    try:
        document = msgspec.convert(plain, RulesetDocument)
    except msgspec.ValidationError as failure:
        raise refused(_line_of(root, str(failure)), _with_choices(str(failure))) from failure
    lines = _rule_lines(root)
    _check_ids(document, lines)
    for rule, line in zip(document.rules, lines, strict=True):
        for why in _wrong_with(rule):
            raise refused(line, f"Rule {rule.id}: {why}", rule_id=rule.id)
    if document.block_from < document.review_from:
        raise refused(1, "`block_from` is below `review_from`: nothing would ever be reviewed for its points.")
    return document


def values_given(example: Example) -> list[Value]:
    """Return an example's features in the order of the catalogue."""
    return [example.given.get(feature.name, False if feature.kind == "bool" else 0) for feature in CATALOGUE]


def _wrong_with(rule: Rule) -> Iterator[str]:
    if _COSTS_TOO_MUCH.search(rule.when):
        yield "its condition may call no macro, method or pattern: numbers and features are compared as they are."
        return
    try:
        kind = _CHECKER.compile(rule.when).return_type()
    except RuntimeError as failure:
        yield f"its condition is refused: {_said_by_checker(failure)}."
        return
    if kind != checker.Type.BOOL:
        yield "its condition must be true or false."
        return
    if rule.action == "score" and rule.points == 0:
        yield "it scores 0 points, so it would never do anything; give it points or another action."
    if rule.on_error == "ignore" and rule.action != "score":
        yield "`on_error: ignore` is for rules that only score: what blocks or is reviewed must not pass unseen."
    yield from _wrong_message(rule.message)
    yield from _wrong_examples(rule)


def _wrong_message(message: str) -> Iterator[str]:
    try:
        named = [name for _, name, _, _ in Formatter().parse(message) if name is not None]
    except ValueError:
        yield "its message has a brace that stands alone; write `{{` or `}}` for a brace itself."
        return
    for name in named:
        if name not in BY_NAME:
            yield f"its message names `{name[:60]}`, which is no feature."


def _wrong_examples(rule: Rule) -> Iterator[str]:
    if len({example.hits for example in rule.examples}) != 2:  # noqa: PLR2004 -- true and false
        yield "it needs an example that hits and one that does not."
    try:
        conditions = Conditions([rule])
    except ValueError as failure:
        yield f"its condition is refused: {str(failure).splitlines()[0]}."
        return
    for number, example in enumerate(rule.examples, 1):
        for name, value in example.given.items():
            feature = BY_NAME.get(name)
            if feature is None:
                yield f"example {number} gives `{name[:60]}`, which is no feature."
                return
            if isinstance(value, bool) != (feature.kind == "bool"):
                yield f"example {number}: `{name}` is {'true or false' if feature.kind == 'bool' else 'a number'}."
                return
        hits, errors = conditions.evaluate(values_given(example))
        if errors:
            yield f"example {number} cannot be computed; a feature that it does not give is 0, or false."
        elif bool(hits) != example.hits:
            yield f"example {number} says hits: {str(example.hits).lower()}, but it does not turn out so."


def _check_ids(document: RulesetDocument, lines: list[int]) -> None:
    seen: set[str] = set()
    for rule, line in zip(document.rules, lines, strict=True):
        if rule.id in seen:
            raise refused(line, f"There are two rules `{rule.id}`.", rule_id=rule.id)
        seen.add(rule.id)


def _said_by_checker(failure: RuntimeError) -> str:
    """Return the first line of Google's message without its markers, `undeclared reference to 'x'` say."""
    first = str(failure).splitlines()[0]
    return first.split("<input>:", 1)[-1].split(": ", 1)[-1].replace(" (in container '')", "")


def _with_choices(said: str) -> str:
    """Return what msgspec says as a sentence, with the words there are where one is none of them."""
    path = said.rsplit("`$", 1)[-1].rstrip("`")
    choices = _CHOICES.get(path.rsplit(".", 1)[-1]) if said.startswith("Invalid enum value") else None
    return f"{said}." if choices is None else f"{said}; it may be {', '.join(sorted(get_args(choices)))}."


def _rule_lines(root: Any) -> list[int]:
    rules = next(value for key, value in root.value if key.value == "rules")
    return [item.start_mark.line + 1 for item in rules.value]


def _line_of(root: Any, said: str) -> int:
    """Return the line of what msgspec complains about, by its path such as `$.rules[3].when`; 1 where it names none."""
    path = said.rsplit("`$", 1)[-1].rstrip("`") if "`$" in said else ""
    node = root
    for step in path.replace("[", ".[").split("."):
        if not step or node is None:
            continue
        node = _step_into(node, step)
    return node.start_mark.line + 1 if node is not None else 1


def _step_into(node: Any, step: str) -> Any:
    if step.startswith("["):
        place = step[1:-1]
        if isinstance(node, yaml.SequenceNode) and place.isdigit() and int(place) < len(node.value):
            return node.value[int(place)]
        return node
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == step), node)
    return node
