"""What the sources say, parsed once: to read all of them takes two seconds, and several tests do."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]


@cache
def parsed_sources(folder: str) -> dict[Path, ast.Module]:
    """Return path → syntax tree of every Python file in this folder of the repository, sorted by path."""
    return {path: ast.parse(path.read_text()) for path in sorted((ROOT / folder).rglob("*.py"))}
