"""Which tests stay together when several processes share the lanes (`make test-lanes`).

What a file's tests share is made once, so a file stays whole; and the e2e tests of the one stack that many files share
are all done by one process, or each would start a stack of its own. So are those of the stack whose rows are altered.
"""

from pathlib import PurePosixPath
from typing import Any, Final

import pytest

NOT_SHARED: Final = {
    "test_demo.py": "the demo",
    "test_lost_outcomes.py": "a stack of its own",
    "test_reconciling.py": "the damaged stack",
    "test_runbooks.py": "the damaged stack",
}
"""Files of e2e that do not use the lane's stack → what they use."""


def shared_by(node_id: str) -> str:
    """Return the name of what this test shares with others."""
    file = PurePosixPath(node_id.partition("::")[0])
    return NOT_SHARED.get(file.name, "the stack of e2e") if file.parent.name == "e2e" else str(file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out what is shared whole, in the order of the command line: what takes longest stands first there."""
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 -- only a run in several processes needs it

    config.option.loadscopereorder = False
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = shared_by
    return scheduler
