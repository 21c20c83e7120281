"""Each rule finds its planted violation, and leaves what is right alone."""

import subprocess
from pathlib import Path

import pytest

from tools.tidy import check, check_all, read_tree
from tools.tidy_rules import RULES
from tools.tidy_rules.source import Source

LEDGER = "services/ledger/use_cases/post_transfer.py"
# rule → (path, what breaks it, what keeps it)
PLANTED: dict[str, list[tuple[str, str, str]]] = {
    "float-beside-money": [
        (LEDGER, "amount_minor = 12.5\n", "amount_minor = 12_50\n"),
        (LEDGER, "share = amount_minor / 3\n", "share = amount_minor // 3\n"),
        (LEDGER, "shown = float(amount_minor)\n", "shown = str(amount_minor)\n"),
        (LEDGER, "fee_minor: float\n", "fee_seconds: float\n"),
        (LEDGER, "post(amount_minor=1.0)\n", "post(amount_minor=1, wait_seconds=1.0)\n"),
        (LEDGER, "row = {'amount_minor': 1.0}\n", "row = {'wait_seconds': 1.0}\n"),
        (LEDGER, "total_minor *= 0.5\n", "total_seconds *= 0.5\n"),
        (LEDGER, "price = Money(12.5, USD)\n", "price = Money(12_50, USD)\n"),
        (LEDGER, "def pay(amount: float) -> None: ...\n", "def pay(amount: int) -> None: ...\n"),
    ],
    "wall-clock": [
        (LEDGER, "now = datetime.now(UTC)\n", "now = clock.now()\n"),
        (LEDGER, "now = datetime.datetime.utcnow()\n", "now = row.recorded_at\n"),
        (LEDGER, "started = time.time()\n", "started = time.monotonic()\n"),
        (LEDGER, "from time import time\n", "from time import monotonic\n"),
        (LEDGER, "at: datetime = field(default_factory=datetime.now)\n", "at: datetime\n"),
    ],
    "produce-outside-messaging": [
        (LEDGER, "await producer.send_and_wait(topic, body)\n", "await outbox.append(message)\n"),
        (LEDGER, "producer = AIOKafkaProducer()\n", "await publisher.publish(rows)\n"),
        ("libs/common/messaging/relay.py", "await broker.publish_batch(a, b)\n", "await producer.send_batch(batch)\n"),
    ],
    "consume-outside-messaging": [
        (LEDGER, "consumer = AIOKafkaConsumer(topic)\n", "consumer = delivery.consumer(topic)\n"),
        (
            LEDGER,
            "@broker.subscriber(topic, ack_policy=a, group_id=g, auto_offset_reset=o, no_reply=True)\ndef f(): ...\n",
            "",
        ),
    ],
    "subscriber-options": [
        (
            "libs/common/messaging/broker.py",
            "broker.subscriber(topic, group_id=group, no_reply=True)\n",
            "broker.subscriber(topic, ack_policy=a, group_id=g, auto_offset_reset=o, no_reply=True)\n",
        ),
    ],
    "commit-outside-unit-of-work": [
        (LEDGER, "await session.commit()\n", "async with self._uow.begin() as work: ...\n"),
        (LEDGER, "async with engine.begin() as connection: ...\n", "begin_transfer()\n"),
    ],
    "impure-value-code": [
        ("services/ledger/domain/journal.py", "import sqlalchemy\n", "from services.ledger.domain import account\n"),
        ("services/ledger/domain/journal.py", "import asyncio\n", "from libs.common.proof.tree import root\n"),
        ("services/ledger/domain/journal.py", "from libs.common import clock\n", "from libs.common import money\n"),
        ("libs/common/contracts/ledger.py", "import pydantic\n", "import msgspec\n"),
    ],
    "broad-except": [
        (
            LEDGER,
            "try: f()\nexcept Exception: ...\n",
            "try: f()\nexcept Exception: ...  # noqa: BLE001 the edge answers\n",
        ),
        (LEDGER, "try: f()\nexcept: ...\n", "try: f()\nexcept:\n    undo()\n    raise\n"),
        (LEDGER, "try: f()\nexcept (OSError, BaseException): ...\n", "try: f()\nexcept (OSError, KeyError): ...\n"),
    ],
    "silent-suppression": [
        (LEDGER, "x = 1  # noqa\n", "x = 1  # noqa: S608 - made of names written here\n"),
        (LEDGER, "x = 1  # noqa: S608\n", "x = 1  # a noqa-like word is not a directive\n"),
        (LEDGER, "x = 1  # type: ignore[arg-type]\n", "x = 1  # type: ignore[arg-type] # the stub is wrong here\n"),
    ],
    "unfinished-work": [
        (LEDGER, "# TODO later\n", "# The method is complete.\n"),  # tidy: allow unfinished-work: planted to be found
        ("docs/a.md", "FIXME\n", "fixed\n"),  # tidy: allow unfinished-work: planted to be found
    ],
    "machine-path": [
        ("docs/a.md", f"see /{'root'}/notes\n", "see `./notes`\n"),
        (LEDGER, "x = '/home/ann/x'\n", "x = home / 'x'\n"),  # tidy: allow machine-path: planted to be found
    ],
    "skip-without-reason": [
        ("tests/unit/test_a.py", "@pytest.mark.skip\ndef test_a(): ...\n", "@pytest.mark.slow\ndef test_a(): ...\n"),
        (
            "tests/unit/test_a.py",
            "pytest.mark.xfail(strict=True)\n",
            "pytest.mark.xfail(reason='upstream', strict=True)\n",
        ),
        ("tests/unit/test_a.py", "pytest.skip()\n", "pytest.skip('no JDK here')\n"),
    ],
    "long-file": [(LEDGER, "x = 1\n" * 401, "x = 1\n" * 400)],
    "long-function": [(LEDGER, "def f():\n" + "    x = 1\n" * 80, "def f():\n" + "    x = 1\n" * 79)],
    "vague-name": [("libs/common/utils.py", "", "")],
    "consumer-name": [("services/fraud/consumers/transfers.py", "", "")],
    "use-case-name": [("services/fraud/use_cases/screening.py", "", "")],
}
CASES = [(rule, *case) for rule, cases in PLANTED.items() for case in cases]
GOOD_PATHS = [
    "libs/common/money.py",
    "services/fraud/consumers/on_transfer_requested.py",
    "services/fraud/use_cases/screen_transfers.py",
    "services/fraud/use_cases/__init__.py",
]


def rules_broken(path: str, text: str) -> set[str]:
    return {finding.rule for finding in check(Source(path, text))}


@pytest.mark.parametrize(("rule", "path", "wrong", "right"), CASES)
def test_rule_finds_the_planted_violation_and_leaves_its_right_form_alone(
    rule: str, path: str, wrong: str, right: str
) -> None:
    assert rule in rules_broken(path, wrong)
    if right:
        assert rules_broken(path, right) == set()


def test_every_rule_has_a_planted_violation() -> None:
    assert PLANTED.keys() == RULES.keys()


@pytest.mark.parametrize("path", GOOD_PATHS)
def test_good_file_names_are_left_alone(path: str) -> None:
    assert rules_broken(path, "") == set()


def test_the_clock_alone_may_ask_the_machine() -> None:
    asks = "now = datetime.now(UTC)\n"
    assert rules_broken("libs/common/clock.py", asks) == set()
    assert rules_broken("libs/common/clocks.py", asks) == {"wall-clock"}


def test_store_and_unit_of_work_may_commit() -> None:
    commits = "await connection.commit()\n"
    assert rules_broken("services/ledger/store/head.py", commits) == set()
    assert rules_broken("libs/common/db/unit_of_work.py", commits) == set()
    assert rules_broken("services/ledger/api/transfers.py", commits) == {"commit-outside-unit-of-work"}


def test_an_exception_with_a_reason_excuses_its_line_and_the_next() -> None:
    marker = "# tidy: allow wall-clock: shown to a person"
    assert rules_broken(LEDGER, f"now = datetime.now(UTC)  {marker}\n") == set()
    assert rules_broken(LEDGER, f"{marker}\nnow = datetime.now(UTC)\n") == set()


def test_an_exception_without_a_reason_excuses_nothing() -> None:
    assert rules_broken(LEDGER, "now = datetime.now(UTC)  # tidy: allow wall-clock:\n") == {"wall-clock"}


def test_an_exception_for_another_rule_excuses_nothing_and_is_found_stale() -> None:
    text = "now = datetime.now(UTC)  # tidy: allow broad-except: shown to a person\n"
    assert rules_broken(LEDGER, text) == {"wall-clock", "stale-exception"}


def test_markdown_shows_markers_without_meaning_them_and_has_comments_of_its_own() -> None:
    path = "/home/ann/x"  # tidy: allow machine-path: planted to be found
    assert rules_broken("docs/a.md", "# tidy: allow wall-clock: as an example\n") == set()
    assert rules_broken("docs/a.md", f"{path} # tidy: allow machine-path: not a comment\n") == {"machine-path"}
    assert rules_broken("docs/a.md", f"{path} <!-- tidy: allow machine-path: a real one -->\n") == set()


def test_a_ratchet_holds_at_its_size_and_gives_way_beyond() -> None:
    long = "# tidy: allow long-file up to 410: one table, row after row\n"
    assert rules_broken(LEDGER, long + "x = 1\n" * 409) == set()
    assert rules_broken(LEDGER, long + "x = 1\n" * 410) == {"long-file", "stale-exception"}


def test_a_ratchet_without_a_size_excuses_nothing() -> None:
    text = "# tidy: allow long-file: one table, row after row\n" + "x = 1\n" * 409
    assert "long-file" in rules_broken(LEDGER, text)


def test_findings_name_path_line_and_rule_as_an_editor_opens_them() -> None:
    found = check_all([Source(LEDGER, "x = 1\nnow = datetime.now(UTC)\n")])
    assert [str(finding).split(": ")[:2] for finding in found] == [[f"{LEDGER}:2", "wall-clock"]]


def test_the_tree_read_is_what_git_does_not_ignore(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", str(tmp_path)], check=True)
    for name in (".gitignore", "kept.py", "made.py", "picture.png"):
        (tmp_path / name).write_text("made.py\n" if name == ".gitignore" else "")
    assert [source.path for source in read_tree(tmp_path)] == ["kept.py"]
