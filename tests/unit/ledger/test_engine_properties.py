"""The engine against a naive model, over any mixture of commands in any order, cut into batches anywhere."""

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.ledger.domain.account import Account
from services.ledger.domain.commands import Command, TransferBatchScreened
from services.ledger.domain.engine import decide
from services.ledger.domain.transfer import Transfer
from tests.support.ledger_builders import NOW, account, batch, blocked, held, id_of, leg, resolved, screened

NAMES = ("alice", "bob", "carol", "dave")
START_MINOR = 100


@st.composite
def plans(draw: st.DrawFn) -> list[Command]:
    """Draw transfers with their messages, some of them twice, in any order."""
    commands: list[Command] = []
    for number in range(draw(st.integers(1, 8))):
        payer = draw(st.sampled_from(NAMES))
        others = [name for name in NAMES if name != payer]
        legs = [
            leg(payer, draw(st.sampled_from(others)), draw(st.integers(1, 80))) for _ in range(draw(st.integers(1, 3)))
        ]
        name = f"t{number}"
        approve = screened(name, *legs, payer=payer)
        hold = held(name, *legs, reasons=("kyc_pending", "review"), payer=payer)
        first = resolved(name, *legs, reason="review", remaining=("kyc_pending",), payer=payer)
        last = resolved(name, *legs, reason="kyc_pending", payer=payer)
        reject = resolved(name, *legs, resolution="reject", code="payee_kyc_rejected", payer=payer)
        together = batch(name, approve, screened(f"{name} too", *legs[:1], payer=payer))
        block = blocked(name, *legs)
        stories: list[list[Command]] = [[approve], [hold], [hold, first, last], [hold, reject], [together], [block]]
        story = draw(st.sampled_from(stories))
        commands += story
        if draw(st.booleans()):
            commands.append(draw(st.sampled_from(story)))
    return draw(st.permutations(commands))


def run_in_batches(
    commands: list[Command], cuts: list[int]
) -> tuple[dict[str, Account], dict[str, Transfer], list[list[Transfer]]]:
    accounts = {each.account_id: each for each in (account(name, START_MINOR) for name in NAMES)}
    known: dict[str, Transfer] = {}
    answers: list[list[Transfer]] = []
    seqs = dict.fromkeys(accounts, 0)
    index = 0
    edges = sorted({0, len(commands), *(cut % (len(commands) + 1) for cut in cuts)})
    for start, end in pairwise(edges):
        before = {key: replace(value) for key, value in accounts.items()}
        decisions = decide(commands[start:end], accounts=accounts, known=known, first_index=index, now=NOW)
        assert accounts == before, "what was given was changed"
        sums = dict.fromkeys(accounts, 0)
        for account_id, seq, _, _, amount_minor, _ in decisions.books.entries:
            assert seq == seqs[account_id] + 1, "a gap in seq"
            seqs[account_id] = seq
            sums[account_id] += amount_minor
        for account_id, changed in decisions.books.changed.items():
            assert changed.posted_minor == accounts[account_id].posted_minor + sums[account_id]
            assert changed.version > accounts[account_id].version
        places = [change.state.journal_index for change in decisions.changes]
        assert places == list(range(index, index + len(decisions.changes)))
        index += len(decisions.changes)
        accounts = accounts | decisions.books.changed
        known |= decisions.inserted | decisions.updated
        answers.append([answer for answer in decisions.answers if isinstance(answer, Transfer)])
    return accounts, known, answers


class NaiveModel:
    """Balances as plain sums over what was decided, with no notion of batches, copies or savepoints."""

    def __init__(self, known: dict[str, Transfer]) -> None:
        self.posted = dict.fromkeys(map(id_of, NAMES), START_MINOR)
        self.pending_in = dict.fromkeys(map(id_of, NAMES), 0)
        self.pending_out = dict.fromkeys(map(id_of, NAMES), 0)
        for transfer in known.values():
            for part in transfer.legs:
                if transfer.status == "posted":
                    self.posted[part.source_account_id] -= part.amount_minor
                    self.posted[part.destination_account_id] += part.amount_minor
                elif transfer.status == "held":
                    self.pending_out[part.source_account_id] += part.amount_minor
                    self.pending_in[part.destination_account_id] += part.amount_minor


@settings(max_examples=300, deadline=None)
@given(plans(), st.lists(st.integers(0, 40), max_size=4))
def test_books_balance_whatever_comes_in_whatever_order(commands: list[Command], cuts: list[int]) -> None:
    accounts, known, answers = run_in_batches(commands, cuts)
    assert sum(each.posted_minor for each in accounts.values()) == START_MINOR * len(NAMES)
    model = NaiveModel(known)
    for account_id, each in accounts.items():
        assert each.available_minor >= 0
        assert each.posted_minor == model.posted[account_id]
        assert each.pending_in_minor == model.pending_in[account_id]
        assert each.pending_out_minor == model.pending_out[account_id]
    asked = sum(len(c.screenings) if isinstance(c, TransferBatchScreened) else 1 for c in commands)
    assert sum(map(len, answers)) == asked, "a command without its one answer"


@settings(max_examples=200, deadline=None)
@given(plans(), st.lists(st.integers(0, 40), max_size=4))
def test_batches_make_no_difference(commands: list[Command], cuts: list[int]) -> None:
    whole_accounts, whole_known, _ = run_in_batches(commands, [])
    cut_accounts, cut_known, _ = run_in_batches(commands, cuts)
    assert whole_accounts == cut_accounts
    assert whole_known == cut_known


@settings(max_examples=200, deadline=None)
@given(plans())
def test_everything_again_changes_nothing(commands: list[Command]) -> None:
    accounts, known, _ = run_in_batches(commands, [])
    decisions = decide(commands, accounts=accounts, known=known, first_index=0, now=NOW)
    settled = {key for key, transfer in known.items() if transfer.status != "held"}
    changed = [change.state for change in decisions.changes]
    assert not [state for state in changed if isinstance(state, Transfer) and state.transfer_id in settled]
