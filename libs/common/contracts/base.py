"""The base of every message: a frozen struct that ignores fields it does not know.

A producer cannot send an unknown field, because it builds the struct. A consumer ignores one, so a new optional field
keeps the version; any other change makes a new topic version.
"""

from typing import ClassVar

import msgspec


class Message(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A message of the bus. `TYPE` is its CloudEvents `ce_type`, stable for ever."""

    TYPE: ClassVar[str]
