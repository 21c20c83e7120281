"""Writes docs/fraud-rules.md, features and shipped rules: `python -m tools.fraud_rules_page [--check]`."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from services.fraud.domain.features import CATALOGUE
from services.fraud.domain.rules import Example, Rule
from services.fraud.domain.ruleset_reading import read_ruleset
from services.fraud.use_cases.publish_shipped_rules import shipped_rules

PAGE: Final = Path(__file__).parents[1] / "docs" / "fraud-rules.md"
_HEAD: Final = """# Shipped rules, and what rules may ask for

Written by `make fraud-rules` from `services/fraud/rulesets/default.yaml` and `services/fraud/domain/features.py`. How
rules are written and come into force stands in [fraud.md](fraud.md#rules).
"""
_RULES: Final = """
## Shipped rules

They go live where there has never been a rule set. One sign alone holds nobody's money, unless a rule says `review`:
points of all hits add up, from {review} on a person decides, from {block} on the transfer is blocked.
"""
_FEATURES: Final = """
## Features

Amounts are US cents, all times those of the decision. Counts and sums are of transfers decided before this one that
were approved or held, and not longer ago than the window. A transfer to several receivers counts once for each, with
his share, except in what is *exact*: on that the limits rest, and nobody outruns it. A *snapshot* may lag behind what
another process decided, by ten minutes at most, and stops at 10,000 transfers of a sender, receiver, address or device.

| feature | kind | unit | consistency | meaning |
|---|---|---|---|---|
"""


def page() -> str:
    """Return the page."""
    document = read_ruleset(shipped_rules())
    rules = "\n".join(line for rule in document.rules for line in _rule(rule))
    features = "\n".join(
        f"| `{one.name}` | {one.kind} | {one.unit} | {one.consistency} | {one.meaning} |" for one in CATALOGUE
    )
    intro = _RULES.format(review=document.review_from, block=document.block_from)
    return f"{_HEAD}{intro}\n{rules}\n{_FEATURES}{features}\n"


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare; return the exit code."""
    if arguments != ["--check"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page():
        return 0
    sys.stdout.write("docs/fraud-rules.md is out of date; write it with `make fraud-rules`\n")
    return 1


def _rule(rule: Rule) -> Iterator[str]:
    does = f"{rule.points} points" if rule.action == "score" else rule.action
    mutes = "" if rule.overridable else "; no entry of a list mutes it"
    yield f"### `{rule.id}`: {rule.title}"
    yield ""
    yield f"{does}, {rule.typology.replace('_', ' ')}{mutes}. Hits where `{rule.when}`."
    yield ""
    yield from (f"- {'hits' if one.hits else 'does not'}: {_given(one)}" for one in rule.examples)
    yield ""


def _given(example: Example) -> str:
    return ", ".join(f"`{name}` {str(value).lower()}" for name, value in example.given.items()) or "nothing given"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
