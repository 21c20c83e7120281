"""Documents point at files that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/*/*.md")]


def test_every_relative_link_leads_somewhere() -> None:
    links = [(document, link) for document in documents() for link in LINK.findall(document.read_text())]
    assert links
    missing = [
        f"{document.relative_to(ROOT)}: {link}" for document, link in links if not (document.parent / link).exists()
    ]
    assert missing == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs/adr"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("0*.md")}
