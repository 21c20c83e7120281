"""What a rule sees: one file of the repository, and what it may answer."""

import ast
import io
import tokenize
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePosixPath


@dataclass(frozen=True)
class Violation:
    """One breach of one rule. `size` is set where the rule is a ratchet: how long the thing has become."""

    line: int
    message: str
    size: int | None = None


@dataclass(frozen=True)
class Source:
    """A file by its path below the repository's root, with `/` on every system."""

    path: str
    text: str

    @property
    def is_python(self) -> bool:
        """Whether there is a syntax tree to look at."""
        return self.path.endswith(".py")

    @property
    def is_product(self) -> bool:
        """Whether the file is shipped, as against tests, tools and documents."""
        return self.is_python and self.path.startswith(("libs/", "services/", "tallystick/"))

    @property
    def name(self) -> str:
        """The file's name without its folders."""
        return PurePosixPath(self.path).name

    @cached_property
    def lines(self) -> list[str]:
        """The text by line; `lines[0]` is line 1."""
        return self.text.splitlines()

    @cached_property
    def nodes(self) -> list[ast.AST]:
        """Every node of the syntax tree; empty for what is not Python."""
        return list(ast.walk(ast.parse(self.text, self.path))) if self.is_python else []

    @cached_property
    def comments(self) -> dict[int, str]:
        """Line → the text in which a comment may stand; outside Python that is the line as it is."""
        if not self.is_python:
            # Markdown quotes other languages' comments; its own look different.
            start = "<!--" if self.path.endswith(".md") else "#"
            return {number: line for number, line in enumerate(self.lines, start=1) if start in line}
        tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
        return {token.start[0]: token.string for token in tokens if token.type == tokenize.COMMENT}

    def lies_in(self, *folders: str) -> bool:
        """Whether the file lies below one of `folders`, where `*` stands for one folder's name."""
        parts = PurePosixPath(self.path).parts
        return any(_below(parts, PurePosixPath(folder).parts) for folder in folders)


def _below(parts: tuple[str, ...], folder: tuple[str, ...]) -> bool:
    pairs = list(zip(parts, folder, strict=False))
    return len(parts) > len(folder) == len(pairs) and all(want in ("*", have) for have, want in pairs)


Rule = Callable[[Source], Iterable[Violation]]


def dotted(node: ast.AST) -> str:
    """Spell a name as written: `datetime.datetime.now`; calls in between are left out, anything else is empty."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}".lstrip(".")
    if isinstance(node, ast.Call):
        return dotted(node.func)
    return ""
