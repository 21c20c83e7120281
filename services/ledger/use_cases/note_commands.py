"""What the audit log says of callers' and staff's commands: written with the records that carry them out, or refuse."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias

from libs.common.audit.asker import asker_of_command
from libs.common.audit.audit_log import ENTRIES_MAX, audit_recorded
from libs.common.audit.entry import RECORDS, new_entry
from libs.common.contracts.audit import AuditEntry
from libs.common.messaging.outgoing_message import Outgoing
from services.ledger.domain.account import Account
from services.ledger.domain.commands import (
    CaptureTransfer,
    ChangeAccount,
    PublishFeeSchedule,
    ReverseTransfer,
    VoidTransfer,
)
from services.ledger.domain.run import AccountAnswer, Change, CommandAnswer, Decisions, FeeAnswer
from services.ledger.domain.transfer import Transfer

_Audited: TypeAlias = CaptureTransfer | VoidTransfer | ReverseTransfer | ChangeAccount | PublishFeeSchedule


class _About(NamedTuple):
    action: str
    resource: tuple[str, str]
    facts: dict[str, Any]


def entries_of(decisions: Decisions, at: datetime) -> list[AuditEntry]:
    """Return an entry for each command that was decided now, in their order; what fraud or the clock said has none."""
    if not decisions.has_words:
        return []
    changes: dict[str, list[Change]] = {}
    for change in decisions.changes:
        if isinstance(change.source, _Audited):
            changes.setdefault(change.source.command_id, []).append(change)
    answers = {answer.command_id: answer for answer in decisions.commands}
    read = decisions.books.read
    return [_entry(of_one, answers.get(command_id), read, at) for command_id, of_one in changes.items()]


def messages_of(entries: Sequence[AuditEntry]) -> list[Outgoing]:
    """Return what tells the collector of them."""
    return [
        audit_recorded("ledger", entries[start : start + ENTRIES_MAX]) for start in range(0, len(entries), ENTRIES_MAX)
    ]


def _entry(
    changes: Sequence[Change], answer: CommandAnswer | None, read: Mapping[str, Account], at: datetime
) -> AuditEntry:
    """Return the entry of one command, whose `changes` are its records in their order."""
    command = changes[0].source
    assert isinstance(command, _Audited)  # noqa: S101 -- that is how they were chosen
    code = _code_of(changes[0], answer)
    about = _about(command, changes[0], read)
    facts = {"command_id": command.command_id, RECORDS: [_index_of(change) for change in changes], **about.facts}
    return new_entry(
        "ledger",
        asker_of_command(command.actor_id, command.asked_from),
        about.action,
        at=at,
        resource=about.resource,
        outcome="refused" if code else "done",
        reason=code,
        facts=facts,
    )


def _code_of(change: Change, answer: CommandAnswer | None) -> str:
    """Return why it was refused, empty if it was not. A reversal's answer is the state of a transfer of its own."""
    if answer is not None:
        return answer.code
    state = change.state
    return state.code if isinstance(state, Transfer) and state.status == "refused" else ""


def _index_of(change: Change) -> int:
    return change.state.journal_index


def _about(command: _Audited, change: Change, read: Mapping[str, Account]) -> _About:
    match command:
        case CaptureTransfer():
            facts = {"command": "capture", "final": command.is_final}
            return _About("hold.end", ("transfer", command.transfer_id), facts)
        case VoidTransfer():
            return _About("hold.end", ("transfer", command.transfer_id), {"command": "void"})
        case ReverseTransfer():
            return _About("transfer.reverse", ("transfer", command.transfer_id), {"with_fees": command.with_fees})
        case ChangeAccount():
            return _About(_account_action(command), ("account", command.account_id), _changed(command, change, read))
        case PublishFeeSchedule():
            version = str(change.state.schedule.version) if isinstance(change.state, FeeAnswer) else ""
            return _About("fee_schedule.publish", ("fee_schedule", version), {"rules": len(command.rules)})


def _account_action(command: ChangeAccount) -> str:
    if command.only_while is not None:
        return "account.close"
    return "account.set_limits" if command.status is None else "account.set_status"


def _changed(command: ChangeAccount, change: Change, read: Mapping[str, Account]) -> dict[str, Any]:
    """Return what the account was and is allowed; of a refused command, what it asked for.

    A change of an account is a commit of its own, so what was read is what was before it.
    """
    if isinstance(change.state, AccountAnswer):
        return {"before": _allowed(read[command.account_id]), "after": _allowed(change.state)}
    return {"asked": {name: value for name, value in _asked(command).items() if value is not None}}


def _allowed(state: Account | AccountAnswer) -> dict[str, object]:
    return {"status": state.status, "minimum_minor": state.minimum_minor, "maximum_minor": state.maximum_minor}


def _asked(command: ChangeAccount) -> dict[str, object]:
    return {"status": command.status, "minimum_minor": command.minimum_minor, "maximum_minor": command.maximum_minor}
