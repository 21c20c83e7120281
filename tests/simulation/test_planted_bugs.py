"""Each mistake that is planted is found; for how many seeds that takes, read what it says.

Not part of `make test`: a mistake is noticed when nothing comes to rest or nobody is answered any more, and that takes
its time.
"""

import os
import shutil
from pathlib import Path

import pytest

from tests.support import chaos_stack, load_sender
from tests.support.planted_bugs import PLANTED
from tests.support.saying import Say
from tests.support.simulated_seeds import simulation

SEEDS = int(os.environ.get("TALLYSTICK_SEEDS", "500"))
_PATIENCE_SECONDS = 30.0


# Whoever is killed closes nothing.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", PLANTED)
async def test_a_planted_bug_is_found(
    name: str, migrated_dsn: str, tmp_path: Path, logged: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load_sender, "_PATIENCE_SECONDS", _PATIENCE_SECONDS)
    monkeypatch.setattr(chaos_stack, "_QUIET_SECONDS", _PATIENCE_SECONDS)
    async with PLANTED[name](migrated_dsn), simulation(migrated_dsn, tmp_path) as simulated:
        for seed in range(1, SEEDS + 1):
            happened: list[str] = []
            try:
                await simulated.storm(seed, happened)
            except (AssertionError, ExceptionGroup) as failure:
                say(f"planted: {name} was found by seed {seed}, after {'; '.join(happened)}: {_first_line(failure)}")
                break
        else:
            raise AssertionError(f"{SEEDS} seeds did not find {name}")
    shutil.rmtree(logged.parent)


def _first_line(failure: BaseException) -> str:
    while isinstance(failure, ExceptionGroup):
        failure = failure.exceptions[0]
    return " ".join(str(failure).split("\n")[:2])[:300]
