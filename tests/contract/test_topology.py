"""The bus has no dead ends: who hears hears something that is said, and what is said is heard or says why not."""

import re
from pathlib import Path

from libs.common.contracts.asyncapi import consumer_file, receivers
from libs.common.contracts.export import all_messages
from libs.common.contracts.topics import ALL_TOPICS, SERVICES

SERVICES_FOLDER = Path(__file__).parents[2] / "services"
COMMON_FOLDER = SERVICES_FOLDER.parent / "libs/common/http"
CONSUMERS = sorted(SERVICES_FOLDER.glob("*/consumers/on_*.py"))


def composition_of(service: str) -> str:
    """Return the text of a service's `app.py` and of the parts it was split into."""
    root = SERVICES_FOLDER / service
    return "".join(path.read_text() for path in (root / "app.py", *sorted(root.glob("composition/*.py"))))


def test_every_consumer_is_named_after_a_message_that_exists() -> None:
    said = {consumer_file(message) for message in all_messages()}
    assert CONSUMERS
    assert [str(path) for path in CONSUMERS if path.name not in said] == []


def test_every_consumer_hears_a_message_of_a_topic_that_services_hear() -> None:
    heard = {
        (service, consumer_file(message))
        for topic in ALL_TOPICS
        for service, messages in receivers(topic, SERVICES_FOLDER).items()
        for message in messages
    }
    assert [str(path) for path in CONSUMERS if (path.parts[-3], path.name) not in heard] == []


def test_every_message_of_a_topic_has_a_consumer_or_the_topic_a_reason() -> None:
    unheard = []
    for topic in ALL_TOPICS:
        heard = {message for messages in receivers(topic, SERVICES_FOLDER).values() for message in messages}
        if not topic.unheard_because:
            unheard += [f"{topic.name}: {message.__name__}" for message in topic.messages if message not in heard]
    assert unheard == []


def test_who_subscribes_to_a_topic_is_who_has_a_consumer_for_it() -> None:
    """Where a service's composition names a topic, it hears it; the owner names it to send."""
    names = {
        name: topic
        for name, topic in vars(__import__("libs.common.contracts.topics", fromlist=["*"])).items()
        if topic in ALL_TOPICS
    }
    for name, topic in names.items():
        if all((COMMON_FOLDER / consumer_file(message)).exists() for message in topic.messages):
            continue  # what every service hears is not named by each
        for service in set(SERVICES) - {topic.owner}:
            mentions = re.search(rf"\b{name}\b", composition_of(service)) is not None
            assert mentions == (service in receivers(topic, SERVICES_FOLDER)), f"{service} and {topic.name}"


def test_every_service_follows_what_is_revoked() -> None:
    assert [name for name in SERVICES if "credentials.follow(" not in composition_of(name)] == []


def test_every_topic_is_named_by_its_owner_and_its_major_version() -> None:
    for topic in ALL_TOPICS:
        assert re.fullmatch(rf"{topic.owner}\.[a-z-]+s\.v[1-9]", topic.name), topic.name


def test_every_message_type_names_its_version_and_is_unique() -> None:
    kinds = [message.TYPE for message in all_messages()]
    assert len(kinds) == len(set(kinds))
    assert [kind for kind in kinds if not re.fullmatch(r"tallystick\.[a-z-]+\.[a-z-]+\.v[1-9]", kind)] == []
