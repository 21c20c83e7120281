"""The report that an auditor is given: what he asks of it is there, and nothing in the books can write into it."""

import json
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rich.console import Console

from libs.common.proof.signed_note import Vkey, parse_vkeys
from libs.common.proof.tree_head import TreeHead
from services.ledger.audit.signed_state import SignedState
from services.ledger.domain.reconciliation import (
    AssetBalance,
    Difference,
    KeptVerification,
    Outcome,
    Reconciliation,
    Standing,
    report_of,
    written,
)
from services.ledger.use_cases.record_decisions import Signer
from tallystick.reconciliation.html_report import html_report
from tallystick.reconciliation.maker import Maker, this_maker
from tallystick.reconciliation.printed import print_run

SIGNER = Signer("ledger.example/books", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
STRANGER = Signer("ledger.example/books", Ed25519PrivateKey.from_private_bytes(bytes(32)))
KEYS = parse_vkeys(SIGNER.vkey)
TREE, _ = TreeHead.empty().extended([bytes([number]) * 32 for number in range(3)])
MAKER = Maker("ada", "auditing-01", "0.1.0")
HOSTILE = "</title></pre><script>alert('&\"')</script><img src=x onerror=alert(1)>"


def state_of(signer: Signer, size: int) -> str:
    return signer.sign_state(SignedState(0, size, "ab" * 32, "cd" * 32, "ef" * 32))


GOOD = KeptVerification("v2", "incremental", 2, 1, 0, state_of(SIGNER, 2), "2026-03-01T09:00:00.000000Z")
STANDING = Standing(
    first_block_at="2026-02-01T00:00:00.000000Z",
    last_record_at="2026-03-01T09:29:59.000000Z",
    checkpoint=SIGNER.sign(TREE),
    verifications=[GOOD],
)
RUN = Reconciliation(
    "all",
    "",
    "2026-03-01T09:30:00.000000Z",
    "2026-03-01T09:30:02.000000Z",
    15.0,
    3,
    balances=[
        AssetBalance("DOGE", "asset", 1, -250_000_000, 0, 0),
        AssetBalance("DOGE", "liability", 2, 250_000_000, 5, 5),
        AssetBalance("JPY", "asset", 1, 0, 0, 0),
    ],
    outcomes=[
        Outcome("balances", "balance = sum of entries", compared=1_234, things="accounts"),
        Outcome("gateway_agrees", "the gateway shows what was decided", "no address of gateway is known"),
    ],
    run_id="0198c2f0-0000-7000-8000-000000000000",
    snapshot_at="2026-03-01T09:30:01.000000Z",
    exponents={"DOGE": 8, "USD": 0},
    standing=STANDING,
)
DIFFERING = replace(
    RUN,
    outcomes=[
        Outcome(
            "balances",
            "balance = sum of entries",
            differences=[Difference("an-account", "balance 3.02 USD, entries 2.41 USD")],
            compared=7,
            things="accounts",
        )
    ],
)


class Reading(HTMLParser):
    """Collects a page's text, what a browser would run or fetch, where links go and what can be linked to."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.active, self.open = "", list[str](), list[str]()
        self.links, self.places = set[str](), list[str]()
        self.feed(html)
        self.close()
        self.text = " ".join(self.text.split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag != "meta":
            self.open.append(tag)
        if tag in {"script", "link", "img", "iframe", "object", "form", "base"}:
            self.active.append(tag)
        for name, value in attrs:
            if name == "src" or name.startswith("on"):
                self.active.append(name)
            if name == "href":
                self.links.add(value or "")
            if name == "id":
                self.places.append(f"#{value}")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += f" {data} "


def read(run: Reconciliation, keys: list[Vkey] | None = None) -> Reading:
    return Reading(html_report(run, KEYS if keys is None else keys, MAKER))


@pytest.mark.parametrize(
    "said",
    [
        "ledger.example/books",
        RUN.run_id,
        "ada on auditing-01, Tallystick 0.1.0",
        RUN.snapshot_at,
        f"{STANDING.first_block_at} to {STANDING.last_record_at}",
        "3 records",
        TREE.root.hex(),
        "— ledger.example/books",
        "verified; by the key of ledger.example/books",
        "ab" * 32,
        "1,234 accounts",
        "not checked: no address of gateway is known",
        "No difference in 1 checks. 1 check(s) could not be made.",
        "-2.50000000 DOGE",
        "zero in each of 2 assets",
        "good, 2026-03-01T09:00:00.000000Z, incremental, 2 records and 1 since then; signature verified",
    ],
)
def test_the_report_names_who_what_when_and_how_much(said: str) -> None:
    assert said in read(RUN).text


def test_the_page_holds_together_and_its_links_lead_somewhere() -> None:
    page = read(DIFFERING)
    assert (page.open, page.active) == ([], [])
    assert page.links == {"#run", "#proof", "#balances", "#promises", "#differences", "#check-balances"}
    assert page.links <= set(page.places)
    assert len(page.places) == len(set(page.places))


def test_each_difference_stands_with_both_values_below_its_promise() -> None:
    text = read(DIFFERING).text
    assert "1 difference(s), in 1 of 1 checks." in text
    assert "balance = sum of entries; 7 accounts compared, 1 differ. about what differs an-account balance 3.02" in text


def test_an_asset_whose_balances_do_not_sum_up_to_zero_is_named_on_the_first_screen() -> None:
    run = replace(RUN, balances=[AssetBalance("DOGE", "asset", 1, 5, 0, 0), *RUN.balances])
    assert "not zero: DOGE" in read(run).text


@pytest.mark.parametrize(
    ("standing", "said"),
    [
        (replace(STANDING, checkpoint=STRANGER.sign(TREE)), "The newest checkpoint is not to be believed"),
        (replace(STANDING, checkpoint="no note"), "The newest checkpoint is not to be believed"),
        (replace(STANDING, checkpoint=SIGNER.sign(TreeHead.empty())), "is of 0 records, the books of 3"),
        (replace(STANDING, checkpoint=""), "The journal has records, and no checkpoint."),
        (
            replace(STANDING, verifications=[replace(GOOD, note=state_of(STRANGER, 2))]),
            "A verification's signed state is not by a key that is trusted here.",
        ),
        (
            replace(STANDING, verifications=[replace(GOOD, findings=4, note=""), GOOD]),
            "The last verification has 4 finding(s).",
        ),
        (replace(STANDING, open_findings=2), "2 finding(s) of verifications are open."),
        (replace(STANDING, is_halted=True), "The ledger is halted."),
    ],
)
def test_what_speaks_against_the_books_is_said_first_although_nothing_differs(standing: Standing, said: str) -> None:
    text = read(replace(RUN, standing=standing)).text
    assert said in text[: text.index("Books as of")]
    assert said not in read(RUN).text


def test_without_keys_signatures_are_not_called_good() -> None:
    text = read(RUN, []).text
    assert "not checked: no key was at hand" in text
    assert "signature verified" not in text
    assert "not to be believed" not in text


def test_nothing_in_the_books_writes_into_the_page() -> None:
    hostile = replace(
        DIFFERING,
        account_id=HOSTILE,
        run_id=HOSTILE,
        began_at=HOSTILE,
        ended_at=HOSTILE,
        snapshot_at=HOSTILE,
        balances=[AssetBalance(HOSTILE, HOSTILE, 1, 5, 0, 0)],
        outcomes=[
            Outcome(HOSTILE, HOSTILE, differences=[Difference(HOSTILE, HOSTILE)], compared=1, things=HOSTILE),
            Outcome(HOSTILE, HOSTILE, HOSTILE),
        ],
        standing=Standing(
            HOSTILE,
            HOSTILE,
            checkpoint=f"{HOSTILE}\n3\n{'A' * 43}=\n\n{HOSTILE}\n",
            verifications=[KeptVerification(HOSTILE, HOSTILE, 1, 1, 1, HOSTILE, HOSTILE)],
        ),
    )
    page = Reading(html_report(hostile, KEYS, Maker(HOSTILE, HOSTILE, HOSTILE)))
    assert (page.open, page.active) == ([], [])
    assert "onerror=alert(1)" in page.text


def test_text_and_json_say_how_much_was_compared_too() -> None:
    console = Console(width=200)
    with console.capture() as captured:
        print_run(console, RUN)
    assert "1,234 accounts" in captured.get()
    said = json.loads(json.dumps(report_of(RUN, shown_max=1)))
    assert [(check["compared"], check["things"]) for check in said["checks"]] == [(1_234, "accounts"), (None, "")]
    assert (said["run_id"], said["snapshot_at"]) == (RUN.run_id, RUN.snapshot_at)
    assert said["standing"]["checkpoint"] == STANDING.checkpoint


def test_an_amount_has_the_decimals_of_the_books_unless_nobody_may_change_them() -> None:
    assert written(5, "DOGE", RUN.exponents) == "0.00000005 DOGE"
    assert written(5, "USD", RUN.exponents) == "0.05 USD"
    assert written(5, "XYZ", RUN.exponents) == "5 minor units of XYZ"


def test_whoever_runs_it_has_a_name() -> None:
    assert all(this_maker())
