"""Who asks for something, and from where: what every audit entry says besides what was done."""

from dataclasses import dataclass
from typing import Final

from libs.common.contracts.audit import ActorKind

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
    is_staff: bool = False
    action: str = ""
    resource_type: str = ""
    resource_id: str = ""
    reason: str = ""
    is_recorded: bool = False
    is_noted_by_owner: bool = False
    """Whether the gateway has handed the request on: whoever answered writes the entry."""

    def is_person(self, user_id: str) -> None:
        """Say who it turned out to be, as a log-in does."""
        self.actor_id, self.actor_kind = user_id, "person"

    def concerns(self, resource_type: str, resource_id: str) -> None:
        """Say what this is about, for an entry that the edge writes: a failed log-in names the customer meant."""
        self.resource_type, self.resource_id = resource_type, resource_id


def by_itself(service: str) -> Asker:
    """Return the asker of what a service does without being asked: a timer, a start."""
    return Asker(actor_id=service, actor_kind="system")


def bounded_user_agent(header: bytes) -> str:
    """Return what a client calls itself, without control characters, at most 200 characters of it."""
    return printable(header[:_USER_AGENT_CHARACTERS_MAX].decode("latin-1"))


def printable(text: str) -> str:
    """Return the text without what cannot be printed, such as NUL, which no table takes."""
    return text if text.isprintable() else "".join(one for one in text if one.isprintable())
