"""Who asks for something, and from where: what every audit entry says besides what was done."""

from dataclasses import dataclass
from typing import Final

from libs.common.contracts.audit import ActorKind, AskedFrom

_USER_AGENT_CHARACTERS_MAX: Final = 200


@dataclass(slots=True)
class Asker:
    """Somebody at the other end of a request, or a service that does something by itself.

    The edge makes one for each request, the gate says who it is and which action that is, and a use case hands it to
    `record`. `actor_id` is empty for nobody. `resource_type`, `resource_id` and `reason` (the code of a refusal) are
    for the entry that the edge writes by itself; it writes none of what was done once one stands in a transaction.
    """

    actor_id: str = ""
    actor_kind: ActorKind = "nobody"
    address: str = ""
    user_agent: str = ""
    request_id: str = ""
    key_id: str = ""
    """The API key that was used; empty for a person who logged in."""
    is_staff: bool = False
    staff_roles: tuple[str, ...] = ()
    """In their order; customers are told them of whoever read about them, never who it was."""
    action: str = ""
    resource_type: str = ""
    resource_id: str = ""
    reason: str = ""
    is_recorded: bool = False
    is_noted_by_owner: bool = False
    """Whether the gateway has handed on what was asked: whoever decides it writes the entry."""

    def is_person(self, user_id: str) -> None:
        """Say who it turned out to be, as a log-in does."""
        self.actor_id, self.actor_kind = user_id, "person"

    def used_key(self, key_id: str) -> None:
        """Say that an API key was used, not a log-in: it was a machine, whosever the key is. Empty: it was not."""
        self.key_id, self.actor_kind = key_id, "machine" if key_id else "person"

    def asked_from(self) -> AskedFrom:
        """Return from where, for a command that somebody else decides."""
        return AskedFrom(
            address=self.address, user_agent=self.user_agent, request_id=self.request_id, key_id=self.key_id
        )

    def concerns(self, resource_type: str, resource_id: str) -> None:
        """Say what this is about, for an entry that the edge writes: a failed log-in names the customer meant."""
        self.resource_type, self.resource_id = resource_type, resource_id


def asker_of_command(actor_id: str, asked_from: AskedFrom | None) -> Asker:
    """Return who asked for a command that came over the bus; None says that it was no request of his own."""
    said = asked_from or AskedFrom()
    asker = Asker(actor_id, address=said.address, user_agent=said.user_agent, request_id=said.request_id)
    asker.used_key(said.key_id)
    return asker


def by_itself(service: str) -> Asker:
    """Return the asker of what a service does without being asked: a timer, a start."""
    return Asker(actor_id=service, actor_kind="system")


def bounded_user_agent(header: bytes) -> str:
    """Return what a client calls itself, without control characters, at most 200 characters of it."""
    return printable(header[:_USER_AGENT_CHARACTERS_MAX].decode("latin-1"))


def printable(text: str) -> str:
    """Return the text without what cannot be printed, such as NUL, which no table takes."""
    return text if text.isprintable() else "".join(one for one in text if one.isprintable())
