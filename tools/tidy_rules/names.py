"""The tree tells the story: a file is named after what happens in it."""

from collections.abc import Iterator

from tools.tidy_rules.source import Source, Violation

VAGUE = {"util.py", "utils.py", "helper.py", "helpers.py", "misc.py"}
# What the company does. A new verb is welcome here; a noun in its place is not.
# fmt: off
VERBS = {
    "accept", "activate", "answer", "apply", "approve", "ask", "authenticate", "await", "begin", "block", "capture",
    "cancel", "change", "charge", "check", "claim", "close", "collect", "compare", "count", "create", "decide",
    "deposit", "discard",
    "emit", "end", "expire", "export", "fetch", "find", "forget", "forward", "freeze", "grant", "guard", "halt",
    "handle", "hold",
    "import", "issue", "judge", "keep", "list", "log", "look", "merge", "note", "notify", "open", "park", "pay",
    "post", "prepare", "project", "prove", "publish", "read", "rebuild", "receive", "reconcile", "record",
    "refresh", "refuse", "register", "reject", "release", "remember", "remove", "repair", "repeat", "replay",
    "report", "request", "rescreen", "reset", "resolve", "restore", "resume", "reverse", "review", "revoke", "rotate",
    "run", "screen", "search", "send", "set", "settle", "show", "sign", "start", "stop", "store", "submit", "suspend",
    "sweep", "take", "tell", "track", "transfer", "unfreeze", "update", "verify", "void", "wait", "wake", "watch",
    "choose", "describe", "erase", "foresee", "seal", "withdraw", "write",
}
# fmt: on


def vague_name(source: Source) -> Iterator[Violation]:
    """Refuse drawers without a label."""
    if source.name in VAGUE:
        yield Violation(1, f"`{source.name}` says nothing: the thing has a name that was not found yet")


def consumer_name(source: Source) -> Iterator[Violation]:
    """Refuse a consumer that is not named after the message it hears."""
    if _is_room(source, "consumers") and not source.name.startswith("on_"):
        yield Violation(1, "a consumer's file is called on_<message>.py: the listing is the choreography")


def use_case_name(source: Source) -> Iterator[Violation]:
    """Refuse a use case that is not named <verb>_<noun>."""
    if not _is_room(source, "use_cases"):
        return
    verb, _, noun = source.name.removesuffix(".py").partition("_")
    if verb not in VERBS or not noun:
        yield Violation(1, "a use case is called <verb>_<noun>.py; tools/tidy_rules/names.py lists the verbs")


def _is_room(source: Source, room: str) -> bool:
    return source.is_python and source.lies_in(f"services/*/{room}") and source.name != "__init__.py"
