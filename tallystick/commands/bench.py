"""`tallystick bench`: how many transfers a second this machine does, and what each costs."""

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

_ROOT = Path(__file__).parents[2]


def bench_command(
    seconds: Annotated[int, typer.Option(help="Length of each measured row.", min=2, max=120)] = 8,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure single transfers, bulk, a hot account and the ledger alone, beside a bare echo.

    Takes seven minutes; needs wrk, and for the rows on Apache Kafka a JDK and Maven.
    """
    if not (_ROOT / "bench").is_dir():
        typer.echo("tallystick bench runs from a source checkout: its load and yardstick are in bench/.", err=True)
        raise typer.Exit(2)
    # A process of its own, started in the checkout: what is measured must not share an interpreter with the command.
    command = [sys.executable, "-m", "bench", "--seconds", str(seconds), *(["--json"] if as_json else [])]
    raise typer.Exit(subprocess.run(command, cwd=_ROOT, check=False).returncode)
