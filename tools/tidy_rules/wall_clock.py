"""Time is an argument. One file asks the machine for it."""

import ast
from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation, dotted

CLOCK = "libs/common/clock.py"
CALLS = ("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns")


def wall_clock(source: Source) -> Iterator[Violation]:
    """Refuse asking for the time of day anywhere but in the clock, called or handed on as a function."""
    if not source.is_product or source.path == CLOCK:
        return
    for node in source.nodes:
        match node:
            case ast.Attribute() if f".{dotted(node)}".endswith(tuple(f".{call}" for call in CALLS)):
                yield Violation(
                    node.lineno, f"`{dotted(node)}` asks the machine: take the time as an argument or a Clock"
                )
            case ast.ImportFrom(module="time", names=names) if {name.name for name in names} & {"time", "time_ns"}:
                yield Violation(node.lineno, "importing the time of day hides where it is asked for; take a Clock")
