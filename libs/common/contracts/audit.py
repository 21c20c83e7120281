"""What every service says of what was done: entries of its audit log, collected and sealed by the gateway."""

from typing import ClassVar, Literal

import msgspec

from libs.common.contracts.base import Message

ActorKind = Literal["nobody", "person", "machine", "system"]
Outcome = Literal["done", "refused", "failed"]


class AskedFrom(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """From where something was asked for, carried by a command so that whoever decides it can say so in his audit log.

    `key_id` is the API key's; without one a person had logged in.
    """

    address: str = ""
    user_agent: str = ""
    request_id: str = ""
    key_id: str = ""


class AuditEntry(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Who did what to which resource, from where, and what came of it.

    `at` is RFC 3339 in UTC. `actor_kind` is `machine` for whoever used an API key, which `facts` names then. `action`
    is one of the permission matrix, or begins with `request.` or `audit.`. `reason` is the code of a refusal.
    `facts` is canonical JSON (RFC 8785): small, and without personal data.
    """

    entry_id: str
    at: str
    service: str
    actor_id: str
    actor_kind: ActorKind
    action: str
    resource_type: str
    resource_id: str
    address: str
    user_agent: str
    request_id: str
    outcome: Outcome
    reason: str
    facts: str


class AuditRecorded(Message, frozen=True, gc=False, kw_only=True):
    """Entries of one service, up to a hundred. Each is said twice, the second time some minutes later."""

    TYPE: ClassVar[str] = "tallystick.audit.audit-recorded.v1"
    entries: tuple[AuditEntry, ...]
