"""Whoever is called finds every warning in docs/runbook.md, and none there that nothing logs."""

import ast
import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.parsed_sources import ROOT, parsed_sources

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
PAGES = [RUNBOOK, *(path.read_text() for path in (ROOT / "docs" / "runbooks").glob("*.md"))]
FOR_PEOPLE = {"warning", "error", "exception", "critical"}


def logged_events() -> Iterator[str]:
    for folder in ("libs", "services"):
        for path, tree in parsed_sources(folder).items():
            for node in ast.walk(tree):
                match node:
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr="log"), args=[_, event, *_]):
                        pass  # its level is known at run time alone
                    case ast.Call(func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[event, *_]):
                        if level not in FOR_PEOPLE:
                            continue
                    case _:
                        continue
                assert isinstance(event, ast.Constant), f"{path}:{node.lineno} names its event at run time"
                yield str(event.value)


def test_every_warning_that_a_service_logs_is_in_the_runbook() -> None:
    logged = set(logged_events())
    assert len(logged) > 30, "the calls are found"
    assert not {event for event in logged if f"`{event}`" not in RUNBOOK}


def test_the_runbook_names_no_warning_that_nothing_logs() -> None:
    rows = RUNBOOK.split("## What the logs warn of\n")[1].split("\n## ")[0].splitlines()
    named = {event for row in rows if row.startswith("| `") for event in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named
    assert not named - set(logged_events())


def test_every_metric_that_whoever_is_called_reads_of_is_measured() -> None:
    sources = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")]
    measured = {
        name for path in sources for name in re.findall(r'^    "(tallystick_\w+)"', path.read_text(), re.MULTILINE)
    }
    measured |= {name for path in sources for name in re.findall(r'\("(tallystick_\w+)"', path.read_text())}
    named = {name for page in PAGES for name in re.findall(r"tallystick_[a-z_]*[a-z](?![a-z_(])", page)}
    assert len(named) > 8
    assert not named - measured


def test_every_name_that_whoever_is_called_reads_or_greps_for_stands_in_what_the_code_says() -> None:
    """Names of events, codes, fields, columns and metrics, these also without what they begin with."""
    trees = [tree for folder in ("libs", "services", "tallystick") for tree in parsed_sources(folder).values()]
    said = {word for tree in trees for node in ast.walk(tree) for word in _words(node)}
    quoted = {name for page in PAGES for text in re.findall(r"`([^`\n]+)`", page) for name in _names(text)}
    grepped = {name for page in PAGES for text in re.findall(r"grep [^|\n]*'(.*?)'", page) for name in _names(text)}
    assert len(quoted) > 100
    assert {"batch_waits", "oldest_undecided_seconds"} <= grepped
    assert not {name for name in quoted | grepped if name not in said and not _ends_one(name, said)}


def _words(node: ast.AST) -> list[str]:
    """Return the names in a string, or that of a field or of what is logged."""
    match node:
        case ast.Constant(value=str(text)):
            return re.findall(r"[a-z]+(?:_[a-z]+)+", text)
        case ast.AnnAssign(target=ast.Name(id=name)) | ast.keyword(arg=str(name)):
            return [name]
    return []


def _names(text: str) -> list[str]:
    return re.findall(r"(?<![A-Za-z_])[a-z]+(?:_[a-z]+)+(?![A-Za-z_])", text)


def _ends_one(name: str, said: set[str]) -> bool:
    return any(one.startswith("tallystick_") and one.endswith(f"_{name}") for one in said)


@pytest.mark.parametrize("name", ["ReviewBacklog", "KycBacklog"])
def test_who_counts_what_waits_is_told_where_the_queue_is_longer_than_a_page(name: str, tmp_path: Path) -> None:
    [setting, counting, *_] = re.findall(
        r"```sh\n(.*?)```", (ROOT / "docs" / "runbooks" / f"{name}.md").read_text(), re.DOTALL
    )
    curl = tmp_path / "curl"
    curl.write_text('#!/bin/sh\necho "$PAGE"\n')
    curl.chmod(0o700)
    first_lines = []
    for following in (None, "a cursor"):
        page = json.dumps({"reviews": [], "next": following})
        at = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "API": "http://gateway", "TOKEN": "of staff", "PAGE": page}
        said = subprocess.run(
            ["bash", "-eu", "-c", setting + counting],
            check=True,
            env=os.environ | at,
            capture_output=True,
            text=True,
            timeout=60,
        )
        first_lines.append(said.stdout.splitlines()[0].strip())
    assert first_lines == ["0 wait, 0 overdue", "0 wait, 0 overdue of the first 100"]
