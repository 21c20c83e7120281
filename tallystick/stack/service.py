"""One of the platform's services as a process of the stack."""

import http.client
import os
from collections.abc import Mapping
from pathlib import Path

from tallystick.stack.local_process import Command, LocalProcess
from tallystick.stack.ports import LOOPBACK

ROOT = Path(__file__).parents[2]
"""The folder from which `services` and `libs` are imported."""

_PROBE_SECONDS = 2.0


class LocalService(LocalProcess):
    """One service on a fixed port, configured by environment variables alone."""

    def __init__(self, name: str, *, port: int, command: Command, settings: Mapping[str, str], logs: Path) -> None:
        """Describe the process; nothing is started."""
        super().__init__(name, logs / f"{name}.log")
        self.port = port
        self._command = command
        self._settings = settings

    def command(self) -> Command:
        """Return the command given."""
        return self._command

    def environment(self) -> Mapping[str, str]:
        """Return the caller's environment with the service's settings."""
        return {**os.environ, **self._settings}

    def working_folder(self) -> Path:
        """Return the folder which `python -m services…` needs to be in when the project is not installed."""
        return ROOT

    def is_ready(self) -> bool:
        """Whether `GET /health/ready` answers 200 within two seconds."""
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=_PROBE_SECONDS)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


class Migration(LocalProcess):
    """Brings every schema up to date, then ends."""

    def __init__(self, command: Command, settings: Mapping[str, str], logs: Path) -> None:
        """Describe the process; nothing is started."""
        super().__init__("migrate", logs / "migrate.log")
        self._command = command
        self._settings = settings

    def command(self) -> Command:
        """Return the command given."""
        return self._command

    def environment(self) -> Mapping[str, str]:
        """Return the caller's environment with the administrator's address."""
        return {**os.environ, **self._settings}

    def working_folder(self) -> Path:
        """Return the folder which `python -m` needs to be in when the project is not installed."""
        return ROOT

    def is_ready(self) -> bool:
        """Whether it has ended well."""
        return not self.is_alive() and self.exit_code == 0
