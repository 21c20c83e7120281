"""`stack.json`: how the running stack tells commands and tests where it is and who its admin is."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tallystick.stack.errors import StackError, StackNotRunning
from tallystick.stack.folder_lock import is_locked
from tallystick.stack.private_files import write_private

STACK_FILE = "stack.json"


@dataclass(frozen=True)
class ServiceAddress:
    """Where one service answers, and its process ids."""

    url: str
    metrics: str
    pids: list[int]


@dataclass(frozen=True)
class Admin:
    """The first administrator, who holds every staff role."""

    email: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Stack:
    """A stack that runs: addresses, process ids and the administrator."""

    api: str
    services: Mapping[str, ServiceAddress]
    infrastructure: Mapping[str, Mapping[str, list[int]]]
    """`postgres` and `kafka` → {"pids": …}; no ids when the stack did not start them."""
    postgres: str
    kafka: str
    admin: Admin
    internal_token: str = field(default="", repr=False)
    """What services show each other; without it nobody tells the digests of his projections."""

    def as_json(self) -> dict[str, Any]:
        """Return what `stack.json` holds."""
        return asdict(self)


def write_stack(folder: Path, stack: Stack) -> None:
    """Tell everybody about the running stack; the file is replaced in one step, mode 0600."""
    write_private(folder / STACK_FILE, json.dumps(stack.as_json(), indent=2) + "\n")


def remove_stack(folder: Path) -> None:
    """Take the announcement back."""
    (folder / STACK_FILE).unlink(missing_ok=True)


def find_stack(folder: Path, environment: Mapping[str, str] = os.environ) -> Stack:
    """Return the stack named by the environment (`TALLYSTICK_API`), else the one that runs on the folder.

    Raises: StackNotRunning with what to do, when there is neither; StackError when the environment is incomplete.
    """
    if environment.get("TALLYSTICK_API"):
        return _from_environment(environment)
    path = folder / STACK_FILE
    if not path.exists() or not is_locked(folder):
        raise StackNotRunning(
            f"no stack runs on {folder}; start one with `tallystick up --data {folder}`, "
            "or name one with TALLYSTICK_API, TALLYSTICK_POSTGRES, TALLYSTICK_KAFKA, "
            "TALLYSTICK_ADMIN_EMAIL and TALLYSTICK_ADMIN_PASSWORD"
        )
    return _from_json(json.loads(path.read_text()))


def _from_json(content: Mapping[str, Any]) -> Stack:
    services = {name: ServiceAddress(**address) for name, address in content["services"].items()}
    return Stack(**{**content, "services": services, "admin": Admin(**content["admin"])})


def _from_environment(environment: Mapping[str, str]) -> Stack:
    def needed(name: str) -> str:
        value = environment.get(name)
        if not value:
            raise StackError(f"TALLYSTICK_API is set, {name} is not; commands need it to find their way")
        return value

    return Stack(
        api=needed("TALLYSTICK_API").rstrip("/"),
        services={},
        infrastructure={},
        postgres=needed("TALLYSTICK_POSTGRES"),
        kafka=needed("TALLYSTICK_KAFKA"),
        admin=Admin(needed("TALLYSTICK_ADMIN_EMAIL"), needed("TALLYSTICK_ADMIN_PASSWORD")),
        internal_token=environment.get("TALLYSTICK_INTERNAL_TOKEN", ""),
    )
