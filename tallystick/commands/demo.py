"""`tallystick demo`: a payroll of 1,000 lines through the whole platform, and whether every number is right."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, NoReturn

import typer
from rich.console import Console

from libs.common.clock import monotonic_seconds
from tallystick.demo.own_stack import own_stack
from tallystick.demo.payroll import PAYROLL_FILE, read_payroll
from tallystick.demo.progress import Steps
from tallystick.demo.report import as_json as to_document
from tallystick.demo.report import show
from tallystick.demo.story import tell
from tallystick.demo.verdict import judge
from tallystick.stack.errors import StackNotRunning
from tallystick.stack.stack_file import Stack, find_stack

EXIT_RIGHT: Final = 0
EXIT_WRONG: Final = 1
EXIT_ENDED: Final = 143


def demo_command(
    data: Annotated[
        Path | None,
        typer.Option(
            help="Use the stack that runs on this folder, else start one on it; without it, a temporary one.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Pay 1,000 salaries, show what became of them, and prove it. Exit 0 only if every number is right."""
    lines = read_payroll(PAYROLL_FILE)
    # An exception unwinds everything, so that a stack of our own is stopped in order. Not a cancellation, as Ctrl-C
    # would be inside asyncio: 3.11's `wait_for` may swallow one that comes as its work completes.
    signal.signal(signal.SIGTERM, _end)
    began = monotonic_seconds()
    steps = Steps(Console(stderr=True))
    with steps.shown(), _stack(data, steps) as (stack, rate_limits):
        told = asyncio.run(tell(stack, lines, steps))
    figures = judge(told)
    seconds = monotonic_seconds() - began
    if as_json:
        typer.echo(json.dumps(to_document(told, figures, rate_limits=rate_limits, seconds=seconds)))
    else:
        show(Console(), told, figures, seconds=seconds)
    raise typer.Exit(EXIT_RIGHT if all(figure.is_right for figure in figures) else EXIT_WRONG)


def _end(_signal: int, _frame: FrameType | None) -> NoReturn:
    sys.exit(EXIT_ENDED)


@contextmanager
def _stack(data: Path | None, steps: Steps) -> Iterator[tuple[Stack, str]]:
    """Give the stack of the environment or of the folder where one runs, else one of our own; and its rate limits."""
    running = _find_running(data)
    if running is not None:
        steps.notice(
            f"Using the stack at {running.api}. Where its rate limits are on, 43 log-ins at 5 a minute take 9 minutes."
        )
        yield running, "as the running stack has them"
        return
    with ExitStack() as cleanup:
        with steps.step("PostgreSQL, the broker and five services start"):
            stack = cleanup.enter_context(own_stack(data))
        steps.notice("A stack of the demo's own, with rate limits off: 43 log-ins at 5 a minute would take 9 minutes.")
        yield stack, "off"
        with steps.step("everything stops"):
            cleanup.close()


def _find_running(data: Path | None) -> Stack | None:
    if data is None and not os.environ.get("TALLYSTICK_API"):
        return None
    try:
        return find_stack(data or Path())
    except StackNotRunning:
        return None
