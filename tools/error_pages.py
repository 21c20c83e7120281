"""`python -m tools.error_pages [--check]`: write docs/errors/, a page for each code, from the table of codes."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from libs.common.http.error_codes import error_codes, operations_by_code, render_index, render_page
from tools.api_document import api_document

FOLDER: Final = Path(__file__).parents[1] / "docs" / "errors"


def pages() -> Mapping[str, str]:
    """Return file name → content of everything under docs/errors/."""
    operations = operations_by_code(api_document())
    written = {f"{code}.md": render_page(error, operations.get(code, ())) for code, error in error_codes().items()}
    return {"README.md": render_index(), **written}


def outdated(folder: Path) -> list[str]:
    """Return the files that are missing, left over or different, sorted."""
    wanted = pages()
    found = {path.name: path.read_text(encoding="utf-8") for path in folder.glob("*.md")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


def main(arguments: list[str]) -> int:
    """Write, or with `--check` compare; return the exit code."""
    names = outdated(FOLDER)
    if arguments == ["--check"]:
        print(*(f"docs/errors/{name} is out of date; write it with `make errors`" for name in names), sep="\n")
        return 1 if names else 0
    FOLDER.mkdir(exist_ok=True)
    wanted = pages()
    for name in names:
        if name in wanted:
            (FOLDER / name).write_text(wanted[name], encoding="utf-8")
        else:
            (FOLDER / name).unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
