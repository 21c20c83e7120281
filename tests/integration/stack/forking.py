"""A parent of forks, run as `python forking.py WHAT LOG`: it prints what each fork left, as JSON."""

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from libs.common.ids import new_id
from tallystick.stack.errors import StackError
from tallystick.stack.forked_process import ForkedProcess


def fork(run: Callable[[], object], log: Path) -> ForkedProcess:
    with log.open("ab") as file:
        return ForkedProcess(
            run, name="a fork", environment={"ONLY": "this"}, folder=log.parent, log=file.fileno(), before=None
        )


def tell_ids() -> None:
    sys.stdout.write("".join(f"{new_id()}\n" for _ in range(100)))


def tell_surroundings() -> None:
    numbers = (signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD)
    said = {
        "environment": dict(os.environ),
        "folder": str(Path.cwd()),
        "leads_its_session": os.getsid(0) == os.getpid(),
        "default_signals": all(signal.getsignal(number) == signal.SIG_DFL for number in numbers),
        "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, ())),
        "name": Path("/proc/self/comm").read_text().strip(),
        "files": len(list(Path("/proc/self/fd").iterdir())),
    }
    sys.stdout.write(json.dumps(said))


def ids(log: Path) -> object:
    before = [new_id() for _ in range(100)]
    forks = [fork(tell_ids, log) for _ in range(3)]
    return {"codes": [each.wait(30) for each in forks], "ids": before + [new_id() for _ in range(100)]}


def surroundings(log: Path) -> object:
    signal.signal(signal.SIGTERM, lambda *_: None)
    kept = log.open("ab")
    os.set_inheritable(kept.fileno(), True)  # noqa: FBT003 -- its one parameter
    return {"code": fork(tell_surroundings, log).wait(30)}


def endings(log: Path) -> object:
    waiting = fork(lambda: time.sleep(600), log)
    waiting.send_signal(signal.SIGTERM)
    return {
        "returned": fork(lambda: None, log).wait(30),
        "said why": fork(lambda: sys.exit("no settings"), log).wait(30),
        "failed": fork(lambda: 1 / 0, log).wait(30),
        "terminated": waiting.wait(30),
    }


def threads(log: Path) -> object:
    over = threading.Event()
    threading.Thread(target=over.wait).start()
    try:
        fork(lambda: None, log)
    except StackError as refused:
        return str(refused)
    finally:
        over.set()
    return "forked"


if __name__ == "__main__":
    answers = {each.__name__: each for each in (ids, surroundings, endings, threads)}
    sys.stdout.write(json.dumps(answers[sys.argv[1]](Path(sys.argv[2]))))
