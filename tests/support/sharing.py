"""Which tests stay together when two processes share the lanes (`make test-lanes`).

What a file's tests share is made once, so a file stays whole; and the e2e tests of the one stack that many files share
are all done by one process, or each would start a stack of its own.
"""

from pathlib import PurePosixPath
from typing import Any, Final

import pytest

OWN_STACK: Final = frozenset({"test_demo.py", "test_reconciling.py", "test_runbooks.py"})
"""Files of e2e that start stacks of their own."""


def shared_by(node_id: str) -> str:
    """Return the name of what this test shares with others."""
    file = PurePosixPath(node_id.partition("::")[0])
    return "the stack of e2e" if file.parent.name == "e2e" and file.name not in OWN_STACK else str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out what is shared whole, in the order of the command line: what takes longest stands first there."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 -- only a run in several processes needs it

    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = shared_by
    return scheduler
