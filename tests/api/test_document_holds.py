"""The running API does what its document says, whatever Schemathesis sends: every operation, every check.

Every second request is about what exists (belongings.py), the others are as generated. What fits the document may be
refused for reasons of business alone, whose codes are listed in business_refusals.py. An operation that was not tried
when the time was up is a failure.

Without `TALLYSTICK_API_SECONDS` it sends the document's examples and every boundary value, the same ones each time,
within two minutes. With it, for so long, random requests and sequences of them, too; `TALLYSTICK_API_SEED` repeats
a run.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from services.gateway.api.complete_document import operations_of
from tests.support.stack import ROOT, RunningStack

IS_LONG = "TALLYSTICK_API_SECONDS" in os.environ
SECONDS = int(os.environ.get("TALLYSTICK_API_SECONDS", "120"))
SEED = int(os.environ.get("TALLYSTICK_API_SEED") or (random.SystemRandom().randrange(1_000_000) if IS_LONG else 1))
PHASES = "coverage,fuzzing,stateful" if IS_LONG else "coverage"
PRINCIPALS = ("customer", "staff")
CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
COMMAND = (sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIGURATION))
OPTIONS = ("--checks", "all", "--seed", str(SEED), "--workers", "1", "--continue-on-failure", "--no-color")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """Run a stack that answers any number of requests."""
    with RunningStack(tmp_path_factory.mktemp("api") / "data", "--bench") as stack:
        yield stack


@pytest.mark.timeout(SECONDS + 600)
@pytest.mark.parametrize("principal", PRINCIPALS)
def test_every_operation_does_what_the_document_says(stack: RunningStack, principal: str, tmp_path: Path) -> None:
    tried = tmp_path / "tried"
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "SCHEMATHESIS_HOOKS": "tests.api.hooks",
        "TALLYSTICK_API": stack.api,
        "TALLYSTICK_API_KEYS": str(stack.folder / "keys"),
        "TALLYSTICK_API_PRINCIPAL": principal,
        "TALLYSTICK_API_TRIED": str(tried),
    }
    # Each operation once, however slow the machine is; then as much as the time allows, each getting its share of it.
    for what in (["--phases", "examples"], ["--phases", PHASES, "--max-time", str(SECONDS // len(PRINCIPALS))]):
        command = [*COMMAND, "run", f"{stack.api}/openapi.json", *OPTIONS, *what]
        found = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
        sys.stdout.write(f"as {principal}, seed {SEED}\n{found.stdout}")
        assert found.returncode == 0, f"TALLYSTICK_API_SEED={SEED} repeats it"
    assert _operations(stack) - set(tried.read_text().splitlines()) == set(), "not tried before the time was up"
    assert "request_failed" not in "".join(path.read_text() for path in (stack.folder / "logs").glob("*.log"))


def _operations(stack: RunningStack) -> set[str]:
    document = httpx2.get(f"{stack.api}/openapi.json", timeout=30).raise_for_status().json()
    return {f"{method.upper()} {path}" for path, method, _ in operations_of(document)}
