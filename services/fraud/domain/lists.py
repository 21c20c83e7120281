"""Who is frozen, denied, allowed or snoozed: entries with a reason and an end, looked up by what a transfer shows."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

ListName = Literal["deny", "allow", "snooze", "freeze"]
Subject = Literal["customer", "sender", "receiver", "pair", "address", "device"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry that stands. `key` is what transfers show: a user id, two joined by `>`, or the key of an origin.

    `rule_id` is what a snooze mutes. `expires_us` is µs since 1970 UTC, 0 for never. `added_by` matters where it mutes.
    """

    entry_id: str
    list: ListName
    subject: Subject
    key: str
    rule_id: str
    expires_us: int
    added_by: str = ""


@dataclass(slots=True)
class Listed:
    """What the lists say of one transfer: entries that forbid it, and rules whose hits do not count for it."""

    denied_by: list[str] = field(default_factory=list)
    allowed_by: list[str] = field(default_factory=list)
    muted_rules: list[str] = field(default_factory=list)
    mutes_all: bool = False
    """Whether an entry of the allow list mutes every rule that is overridable."""

    @property
    def entry_ids(self) -> list[str]:
        """Return every entry that had a say."""
        return self.denied_by + self.allowed_by


class Lists:
    """All entries that stand, by subject and key. Nothing about them changes but the time."""

    def __init__(self, entries: Iterable[Entry] = ()) -> None:
        """Sort them by what they speak of."""
        self._entries: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            self._entries.setdefault((entry.subject, entry.key), []).append(entry)

    def __bool__(self) -> bool:
        """Tell whether there is any entry at all."""
        return bool(self._entries)

    def look_up(
        self, sender: str, receivers: Sequence[str], *, address_key: int, device_key: int, now_us: int
    ) -> Listed:
        """Return what they say of a transfer; "" and 0 stand for what it does not show.

        What mutes rules does nothing where whoever entered it pays or is paid: nobody is lenient with himself.
        """
        found = Listed()
        shown = [("customer", sender), ("sender", sender), ("address", str(address_key)), ("device", str(device_key))]
        for receiver in receivers:
            shown += [("customer", receiver), ("receiver", receiver), ("pair", f"{sender}>{receiver}")]
        for one in shown:
            for entry in self._entries.get(one, ()):
                if entry.expires_us and now_us >= entry.expires_us:
                    continue
                if entry.list in ("deny", "freeze"):
                    found.denied_by.append(entry.entry_id)
                elif entry.added_by != sender and entry.added_by not in receivers:
                    _mute(entry, found)
        return found


def _mute(entry: Entry, found: Listed) -> None:
    found.allowed_by.append(entry.entry_id)
    if entry.list == "snooze":
        found.muted_rules.append(entry.rule_id)
    else:
        found.mutes_all = True
