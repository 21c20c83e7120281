"""Every direct dependency is pinned and explained."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LISTS = ("runtime", "dev", "plots")


def asked_for(name: str) -> dict[str, str]:
    """Return package → the rest of its line, of one `requirements/*.in`."""
    lines = (ROOT / "requirements" / f"{name}.in").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith(("#", "-r", "-c"))]
    return {match[1].lower(): match[2] for line in wanted if (match := re.match(r"([\w.-]+)(?:\[\w+\])?(.*)", line))}


@pytest.mark.parametrize("name", LISTS)
def test_every_direct_dependency_has_a_reason_and_a_licence(name: str) -> None:
    rows = re.findall(
        r"^\| `([\w.-]+)` \| [^|]{5,} \| [^|]+ \|$", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE
    )
    assert asked_for(name).keys() <= {row.lower() for row in rows}


@pytest.mark.parametrize("name", LISTS)
def test_every_compiled_requirement_is_pinned_and_hashed(name: str) -> None:
    entries = re.split(r"\n(?=\S)", (ROOT / "requirements" / f"{name}.txt").read_text().strip())
    assert [entry for entry in entries if "==" not in entry or "--hash=sha256:" not in entry] == []


@pytest.mark.parametrize("name", LISTS)
def test_compiled_requirements_hold_what_is_asked_for(name: str) -> None:
    compiled = (ROOT / "requirements" / f"{name}.txt").read_text().lower()
    missing = [
        f"{package}{pin}" for package, pin in asked_for(name).items() if f"\n{package}{pin}" not in f"\n{compiled}"
    ]
    assert missing == []


def test_no_list_names_a_registry() -> None:
    texts = [path.read_text() for path in (ROOT / "requirements").iterdir()]
    assert [text for text in texts if re.search(r"https?://|--(?:extra-)?index-url|--find-links", text)] == []
