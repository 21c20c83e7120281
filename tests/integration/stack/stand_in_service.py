"""A service reduced to what the supervisor sees: a port that answers `GET /health/ready`, and an end on SIGTERM."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps({"path": self.path}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def main(name: str, endings: str) -> None:
    """Be that service until SIGTERM, which is written into the file `endings`."""

    def end(*_: object) -> None:
        with open(endings, "a", encoding="ascii") as file:  # noqa: PTH123 -- appends of one line do not interleave
            file.write(f"{name}\n")
        os._exit(0)

    if os.environ.get("STAND_IN_FAILS") == name:
        sys.exit(f"no settings for {name}")
    signal.signal(signal.SIGTERM, end)
    HTTPServer(("127.0.0.1", int(os.environ[f"{name.upper()}_HTTP_PORT"])), Health).serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
