"""Documents point at files that are there, and the picture of the bus is the one the code draws."""

import re
from pathlib import Path

from libs.common.contracts.topics import ALL_TOPICS, SERVICES, Topic

ROOT = Path(__file__).parents[3]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
BUS_ROW = re.compile(r"^\| `([a-z<>.-]+\.v\d+)` \| ([a-z ]+) \| ([a-z, ]+) \|$", re.MULTILINE)


def documents() -> list[Path]:
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("services/*/*.md")]


def bus_table() -> dict[str, tuple[str, set[str]]]:
    """Return topic → (who writes it, who hears it), as docs/architecture/transfer.md says."""
    rows = BUS_ROW.findall((ROOT / "docs/architecture/transfer.md").read_text())
    return {topic: (writer, set(hearers.split(", "))) for topic, writer, hearers in rows}


def listeners(topic: Topic) -> set[str]:
    """Return the services with an `on_<message>.py` for one of the topic's messages."""
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", message.__name__).lower() for message in topic.messages}
    files = [path for name in names for path in ROOT.glob(f"services/*/consumers/on_{name}.py")]
    return {path.parts[-3] for path in files}


def of_each(name: str) -> bool:
    """Tell whether each service has a topic of its own like this; one row stands for them all."""
    return name.endswith((".dead-letters.v1", ".audit-entries.v1"))


def test_every_relative_link_leads_somewhere() -> None:
    links = [(document, link) for document in documents() for link in LINK.findall(document.read_text())]
    assert links
    missing = [f"{path.relative_to(ROOT)}: {link}" for path, link in links if not (path.parent / link).exists()]
    assert missing == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    folder = ROOT / "docs/adr"
    listed = set(LINK.findall((folder / "README.md").read_text()))
    assert listed == {path.name for path in folder.glob("0*.md")}


def test_the_table_of_the_bus_names_every_topic_and_its_writer() -> None:
    written = {topic.name: topic.owner for topic in ALL_TOPICS if not of_each(topic.name)}
    table = {name: writer for name, (writer, _) in bus_table().items() if not of_each(name)}
    assert table == written


def test_the_table_of_the_bus_names_who_hears_what() -> None:
    said = {name: hearers & set(SERVICES) for name, (_, hearers) in bus_table().items() if not of_each(name)}
    heard = {topic.name: listeners(topic) for topic in ALL_TOPICS if not of_each(topic.name)}
    assert said == heard


def test_every_consumer_hears_a_message_that_exists() -> None:
    messages = {message.__name__ for topic in ALL_TOPICS for message in topic.messages}
    files = ROOT.glob("services/*/consumers/on_*.py")
    named = {str(path.relative_to(ROOT)): path.stem.removeprefix("on_").title().replace("_", "") for path in files}
    assert [file for file, message in named.items() if message not in messages] == []
