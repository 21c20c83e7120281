"""How the stack starts its services and migrates their schemas.

On Linux they are forks of `up`, which has imported what all of them need: five interpreters that each import the same
1,200 modules take four seconds of two cores, at every start. Elsewhere each is an interpreter of its own.
"""

import runpy
import sys
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

from tallystick.stack.forked_process import CAN_FORK
from tallystick.stack.local_process import Command

ServiceCommand = Callable[[str], Command]
"""Service name → what serves it."""
MigrateCommand = Callable[[Path], Command]
"""Data folder → what brings every schema up to date; TALLYSTICK_POSTGRES names the database."""

_NEEDED_BY_ALL: Final = (
    "libs.common.audit.trail",
    "libs.common.db.unit_of_work",
    "libs.common.http.app",
    "libs.common.http.credentials",
    "libs.common.messaging.bus",
    "libs.common.personal.sealing",
    "libs.common.service",
    "libs.common.timers",
)
"""Nothing of a service: each counts, and shows, its own metrics alone."""


def serve_command(service: str) -> Command:
    """Return what runs a service's api and worker on one event loop."""
    if CAN_FORK:
        return partial(_run_module, f"services.{service}", "serve")
    return [sys.executable, "-m", f"services.{service}", "serve"]


def migrate_command(folder: Path) -> Command:
    """Return what migrates all schemas, with the passwords kept in the folder."""
    words = ("migrate", "--data", str(folder))
    if CAN_FORK:
        return partial(_run_module, "tallystick.cli", *words)
    return [sys.executable, "-m", "tallystick.cli", *words]


def import_what_services_need() -> None:
    """Import it here, so that forks find it."""
    if CAN_FORK:
        for name in _NEEDED_BY_ALL:
            import_module(name)


def _run_module(name: str, *words: str) -> None:
    sys.argv = [name, *words]
    runpy.run_module(name, run_name="__main__")
