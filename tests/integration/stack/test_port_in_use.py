"""Who is told that the port is taken is told a command he can paste, also if he came by `make up`."""

import socket

import pytest

from tallystick.stack import local_stack
from tallystick.stack.errors import StackError


def test_a_port_in_use_names_the_command_that_takes_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_stack, "_PORT_PATIENCE_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StackError, match=f"port {port} .*`tallystick up --port 0`"):
            local_stack._expect_free(port)
