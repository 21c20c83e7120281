"""The interpreter of conditions, as a process that has just started imports it."""

import subprocess
import sys

IMPORTS = """
import sys
from services.fraud.domain.interpreter import cel
assert cel.compile("1 + 1").execute() == 2
print(*(name for name in ("typer", "prompt_toolkit") if name in sys.modules))
"""


def test_it_comes_without_its_command_line() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTS], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("", "")
