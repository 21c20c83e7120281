"""Staff change what an account may do, and its owner closes it.

It is refused in this order:

1. account_not_found      there is no such account
2. system_account         the house's own accounts stay as they are
3. account_<status>       it has another status than the one while which this is to be done
4. account_not_empty      closed is only what holds nothing and has nothing pending
5. minimum_above_maximum  the limits exclude each other
6. minimum_above_balance  less is there, reservations deducted, than the account should keep
7. maximum_below_balance  more is there, or on its way, than the account should hold
"""

from services.ledger.domain.account import SYSTEM_OWNER, Account
from services.ledger.domain.commands import ChangeAccount
from services.ledger.domain.refuse_transfer import Refusal
from services.ledger.domain.run import AccountAnswer, Change, Run

CHANGE = "account_change"


def change_account(run: Run, command: ChangeAccount) -> None:
    """Set the account's status and limits as far as the command names them."""
    answer = run.done.get(command.command_id)
    if answer is not None:
        run.decisions.answers.append(answer)
        return
    if command.account_id not in run.books.read:
        refusal: Refusal | None = Refusal("account_not_found")
    else:
        refusal = _refuse(run.books.look(command.account_id), command)
    if refusal is not None:
        run.refuse_command(command, command.command_id, CHANGE, command.account_id, refusal)
        return
    account = run.books.open(command.account_id)
    account.status = command.status or account.status
    account.minimum_minor = _or(command.minimum_minor, account.minimum_minor)
    account.maximum_minor = _or(command.maximum_minor, account.maximum_minor)
    account.version += 1
    state = AccountAnswer(
        account.account_id, account.status, account.minimum_minor, account.maximum_minor, run.index, run.now
    )
    run.answer_command(command.command_id, CHANGE, account.account_id, index=run.index)
    run.decisions.answers.append(state)
    run.decisions.changes.append(Change("account.changed", state, command, ()))
    run.decisions.limited.add(account.account_id)
    run.index += 1


def _refuse(account: Account, command: ChangeAccount) -> Refusal | None:
    minimum_minor = _or(command.minimum_minor, account.minimum_minor)
    maximum_minor = _or(command.maximum_minor, account.maximum_minor)
    if account.owner_id == SYSTEM_OWNER:
        return Refusal("system_account")
    if command.only_while not in (None, account.status):
        return Refusal(f"account_{account.status}")
    if command.status == "closed" and not account.is_empty:
        return Refusal("account_not_empty", {"posted_minor": account.posted_minor})
    if minimum_minor > maximum_minor:
        return Refusal("minimum_above_maximum")
    if account.posted_minor - account.pending_out_minor < minimum_minor:
        return Refusal("minimum_above_balance", {"posted_minor": account.posted_minor})
    if account.posted_minor + account.pending_in_minor > maximum_minor:
        return Refusal("maximum_below_balance", {"posted_minor": account.posted_minor})
    return None


def _or(value: int | None, otherwise: int) -> int:
    return otherwise if value is None else value
