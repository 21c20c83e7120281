"""YAML as rule sets are written in: one document of plain, shallow data, in which each key stands once."""

from typing import Any, Final

import yaml  # tidy: allow impure-value-code: a parser of text it is given

from libs.common.errors import Unprocessable

BYTES_MAX: Final = 256 * 1024
_DEPTH_MAX: Final = 20
"""A rule set needs five. The composer calls itself for each level."""

# In C: the same in Python takes ten times as long, two seconds for a large set.
_Loader: Final = yaml.CSafeLoader


def read_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """Return the data, and the tree of nodes that knows in which line each part stands.

    Raises: Unprocessable `ruleset_invalid`, naming the line.
    """
    if len(text.encode()) > BYTES_MAX:
        raise refused(1, f"A rule set has at most {BYTES_MAX} bytes.")
    try:
        _refuse_what_grows(text)
        root = yaml.compose(text, Loader=_Loader)
        _refuse_repeated_keys(root)
        return yaml.constructor.SafeConstructor().construct_document(root) if root else None, root
    except yaml.MarkedYAMLError as failure:
        mark = failure.problem_mark
        raise refused(mark.line + 1 if mark else 1, f"This is no YAML: {failure.problem}.") from failure
    except (yaml.YAMLError, ValueError, RecursionError) as failure:
        raise refused(1, "This is no YAML that can be read.") from failure


def refused(line: int, why: str, **facts: str) -> Unprocessable:
    """Return the refusal of a rule set for what stands in this line, counted from 1."""
    return Unprocessable("ruleset_invalid", f"Line {line}: {why}", line=line, **facts)


def _refuse_what_grows(text: str) -> None:
    """Refuse anchors, since whoever repeats one repeats what it stands for, again and again; and what is deep."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, yaml.AliasEvent) or (
            isinstance(event, yaml.NodeEvent) and (event.anchor or getattr(event, "tag", None))
        ):
            raise refused(line, "Anchors, aliases and tags are not allowed.")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEPTH_MAX:
                raise refused(line, f"This is nested more than {_DEPTH_MAX} levels deep.")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _refuse_repeated_keys(node: yaml.Node | None) -> None:
    """Refuse a key that stands twice: YAML has the second count, and people see the first."""
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_repeated_keys(item)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: dict[str, int] = {}
    for key, value in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
            raise refused(line, "A key is a word; `<<` is none.")
        if key.value in seen:
            raise refused(line, f"`{key.value[:60]}` stands twice here; the first time in line {seen[key.value]}.")
        seen[key.value] = line
        _refuse_repeated_keys(value)
