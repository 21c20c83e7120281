"""Whoever stops to read docs/api.md meets refusals that are shown and loops that end; tests/e2e runs all of it."""

import json
import re
import subprocess
from pathlib import Path

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
BLOCKS = re.findall(r"```bash\n(.*?)```", TEXT, re.DOTALL)
PROBLEM = json.dumps({"status": 429, "code": "rate_limited", "detail": "Too many requests."})


def with_helpers(tmp_path: Path, command: str, given: str = "") -> subprocess.CompletedProcess[str]:
    (tmp_path / "stack.json").write_text(json.dumps({"api": "http://127.0.0.1:1"}))
    shell = ["bash", "-u", "-o", "pipefail", "-c", f"DATA={tmp_path}\n{BLOCKS[0]}\nrmdir $HERE\n{command}"]
    return subprocess.run(shell, check=False, capture_output=True, text=True, input=given, timeout=30)


def test_a_refusal_where_a_member_was_expected_is_shown_and_the_command_fails(tmp_path: Path) -> None:
    done = with_helpers(tmp_path, "field key", PROBLEM)
    assert done.returncode == 1
    assert PROBLEM in done.stderr
    assert done.stdout == ""
    assert with_helpers(tmp_path, "field key", '{"key": null}').returncode == 1, "a secret is not shown twice"


def test_a_member_is_printed_and_of_a_list_a_line_for_each(tmp_path: Path) -> None:
    assert with_helpers(tmp_path, "field code", PROBLEM).stdout == "rate_limited\n"
    assert with_helpers(tmp_path, "field codes", '{"codes": ["a", "b"]}').stdout == "a\nb\n"


def test_patience_ends(tmp_path: Path) -> None:
    done = with_helpers(tmp_path, "sleep() { :; }; patiently false")
    assert (done.returncode, done.stderr) == (1, "still not: false\n")
    assert not [line for block in BLOCKS for line in block.splitlines() if re.match(r"\s*until |.*; do :; done", line)]


def test_what_needs_a_recent_proof_gets_one_right_before() -> None:
    for route in ("/api-keys", "/me/export"):
        (block,) = (block for block in BLOCKS if route in block)
        assert 0 <= block.find("ADA=$(step_up") < block.index(route)


def test_no_quoted_command_goes_on_on_the_next_line() -> None:
    """An interactive bash 5.2 complains of a quote that is open in `"$(…)"` where the line ends."""
    assert not [line for block in BLOCKS for line in block.splitlines() if re.search(r"\$\([^)]*'$", line)]


def test_what_begins_anew_is_named_after_the_last_block() -> None:
    assert TEXT.rindex("```") < TEXT.index("(first-transfer.md)")
