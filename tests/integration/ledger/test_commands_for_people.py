"""`tallystick verify`, as a person or a script runs it."""

import json
from pathlib import Path
from typing import Any

from tests.integration.ledger.books import SIGNER, Books
from tests.support.api_world import admin_connection
from tests.support.command_line import tallystick
from tests.support.ledger_builders import held, id_of, leg, screened


def answer_of(*words: str) -> tuple[int, Any]:
    finished = tallystick(*words, "--json")
    assert finished.stdout, finished.stderr
    return finished.returncode, json.loads(finished.stdout)


async def written(books: Books) -> None:
    await books.fund(alice=1_000, bob=1)
    await books.do(screened("t", leg("alice", "bob", 300)), held("h", leg("alice", "bob", 10)))
    await books.outcomes.flush()


async def test_verify_says_what_was_changed(books: Books, admin_dsn: str, tmp_path: Path) -> None:
    await written(books)
    key = tmp_path / "vkeys"
    key.write_text(SIGNER.vkey + "\n")
    words = ("verify", "--postgres", admin_dsn, "--key", str(key))
    code, report = answer_of(*words)
    assert (code, report["verified"], report["records"], report["findings"]) == (0, True, 4, [])
    assert report["records_per_second"] > 0
    async with admin_connection(admin_dsn) as connection:
        await connection.execute(
            "UPDATE ledger.accounts SET posted_minor = posted_minor + 1 WHERE account_id = $1", id_of("bob")
        )
    code, report = answer_of(*words)
    assert (code, report["verified"]) == (1, False)
    (finding,) = report["findings"]
    assert (finding["kind"], finding["table"], finding["row"]) == ("balance_altered", "accounts", id_of("bob"))
    assert finding["differences"] == [{"field": "posted_minor", "stored": "302", "computed": "301"}]
