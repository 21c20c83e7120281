"""What a bench writes down for programs: its figures, when and on what machine."""

import json
import os
import platform
from datetime import UTC
from pathlib import Path
from typing import Any, Final

from libs.common.clock import system_clock

RESULTS: Final = Path(__file__).with_name("results")


def new_document() -> dict[str, Any]:
    """Begin a document with the time and the machine."""
    return {"taken_at": system_clock().astimezone(UTC).isoformat(), "machine": describe_machine()}


def write_document(document: dict[str, Any]) -> Path:
    """Write a document beside the others and return its file."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{system_clock():%Y%m%dT%H%M%S}.json"
    file.write_text(json.dumps(document, indent=1))
    return file


def describe_machine() -> dict[str, Any]:
    """Return what the figures depend on."""
    model = ""
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }
