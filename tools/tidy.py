"""Keep the house law that no linter knows: `python -m tools.tidy` reads every file git does not ignore.

An exception stands where it is made, on the line or right above it, and gives its reason:

    # tidy: allow wall-clock: the operator's terminal shows his own time

A ratchet names the size it may have: `# tidy: allow long-function up to 95: one refusal after the other`. An exception
that excuses nothing is itself a finding.
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tools.tidy_rules import RULES
from tools.tidy_rules.source import Source, Violation

ROOT = Path(__file__).parents[1]
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".sh", ".ini", ".cfg", ".csv", ".sql", ".in", ".tpl", ".xml", ".lua"}
BARE = {"Makefile", "Dockerfile", "run"}
ALLOW = re.compile(r"(?:#|<!--)\s*tidy: allow (?P<rule>[a-z-]+)(?: up to (?P<size>\d+))?: \w+\W+\w+")


@dataclass(frozen=True, order=True)
class Finding:
    """A violation with its place, as an editor can open it."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def check(source: Source) -> list[Finding]:
    """Find every breach in one file that no exception in place excuses, and every exception without a breach."""
    allowed = {
        line: found
        for line, comment in source.comments.items()
        if (found := ALLOW.search(comment)) and found["rule"] in RULES
    }
    used: set[int] = set()
    findings = []
    for rule, run in RULES.items():
        for violation in run(source):
            excuse = _excuse(rule, violation, allowed)
            if excuse is None:
                findings.append(Finding(source.path, violation.line, rule, violation.message))
            else:
                used.add(excuse)
    stale = [
        Finding(source.path, line, "stale-exception", "excuses nothing: remove it") for line in allowed.keys() - used
    ]
    return sorted([*findings, *stale])


def _excuse(rule: str, violation: Violation, allowed: dict[int, re.Match[str]]) -> int | None:
    """Return the line of the exception that covers the violation, if there is one."""
    for line in (violation.line, violation.line - 1):
        found = allowed.get(line)
        if found and found["rule"] == rule and (violation.size or 0) <= int(found["size"] or 0):
            return line
    return None


def read_tree(root: Path) -> Iterator[Source]:
    """Read every text file that git tracks or would track, in the order of their paths."""
    command = ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for name in sorted({name for name in listed.split("\0") if name}):
        path = root / name
        # A listed file may be gone: removed, and not yet committed.
        if (path.suffix in TEXT or path.name in BARE) and path.is_file():
            yield Source(name, path.read_text(encoding="utf-8"))


def check_all(sources: Iterable[Source]) -> list[Finding]:
    """Check file by file; no rule looks across two."""
    return [finding for source in sources for finding in check(source)]


def main() -> int:
    """Print what is untidy; exit 1 when anything is."""
    findings = check_all(read_tree(ROOT))
    print(*findings, f"tidy: {len(findings)} finding(s) by {len(RULES)} rules", sep="\n")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
