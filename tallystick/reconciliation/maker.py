"""Who made a report, where, and with which version: an auditor asks."""

import getpass
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple


class Maker(NamedTuple):
    """A user of a machine, as the operating system names both, and Tallystick's version."""

    user: str
    host: str
    version: str


def this_maker() -> Maker:
    """Return who runs this process."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = "a user without a name"
    try:
        of = version("tallystick")
    except PackageNotFoundError:  # run from a source tree that was never installed
        of = "from source"
    return Maker(user, platform.node() or "a machine without a name", of)
