"""`tallystick` within the process of the tests: a program of its own spends a second on imports at each call.

That it works as a program too is shown by the documents and runbooks whose blocks tests paste into a shell.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

from typer.testing import CliRunner

from tallystick.cli import app


class Finished(NamedTuple):
    """What a command left, as of `subprocess.run`."""

    returncode: int
    stdout: str
    stderr: str


def tallystick(*words: str) -> Finished:
    """Run the command with nothing to read and without a stack in the environment; it may use a loop of its own."""
    unnamed = {name: None for name in os.environ if name.startswith("TALLYSTICK_")}
    invoke = partial(CliRunner(env=unnamed).invoke, app, words)
    # A test's own loop runs in this thread, and a thread has one.
    with ThreadPoolExecutor(1) as aside:
        result = aside.submit(invoke).result(timeout=120)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Finished(result.exit_code, result.stdout, result.stderr)
