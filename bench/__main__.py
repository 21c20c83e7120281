"""`python -m bench`: measure everything side by side, print the tables, write the JSON."""

import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bench.documents import new_document, write_document
from bench.measure import measure_row
from bench.report import row_document, show_rows
from bench.running_stack import bench_stack, with_empty_broker
from bench.scenarios import ROUNDS, bulk_rows, hot_destination, kafka_rows, single_rows
from bench.world import make_world, write_world
from bench.wrk import Load, NoGenerator, require_generator
from tests.support.kafka import ApacheKafka

KAFKA_WARM_UP_SECONDS: Final = 20
MEDIANS: Final = f"rows with a goal are the median of {ROUNDS}"
_WIDTH: Final = 120
"""Columns of a table that goes to a file."""


def main() -> int:
    """Measure and report. Returns the exit code: 2 without a load generator."""
    parser = argparse.ArgumentParser(prog="tallystick bench", description=__doc__)
    parser.add_argument("--seconds", type=int, default=8, help="length of each row")
    parser.add_argument("--json", action="store_true", help="print the document instead of the tables")
    arguments = parser.parse_args()
    console = Console(stderr=arguments.json)
    if not console.is_terminal:
        console = Console(stderr=arguments.json, width=_WIDTH)
    try:
        require_generator()
    except NoGenerator as missing:
        console.print(str(missing))
        return 2
    document = new_document()
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as folder:
        document["local_broker"] = on_local_broker(Path(folder), arguments.seconds, console)
        document["ledger_stage"] = ledger_stage(console)
        document["apache_kafka"] = on_kafka(Path(folder), arguments.seconds, console)
    if arguments.json:
        print(json.dumps(document))
    console.print(f"written to {write_document(document)}")
    return 0


def on_local_broker(folder: Path, seconds: int, console: Console) -> dict[str, Any]:
    """Measure every load on the local stack."""
    with bench_stack(folder / "local") as stack:
        console.print("customers and accounts are made through the API …")
        customers = asyncio.run(make_world(stack.api, {"email": stack.admin.email, "password": stack.admin.password}))
        world = folder / "world"
        write_world(customers, world)
        renew = partial(with_empty_broker, folder / "local")
        singles = single_rows(renew, world, seconds, console.print)
        bulks = bulk_rows(renew, world, seconds, console.print)
        pairs, ratio = hot_destination(renew, world, customers, console.print)
    show_rows(console, f"Single transfers, answered 201 after posting; {MEDIANS}", *_apart(singles))
    show_rows(console, f"Bulk; {MEDIANS}", bulks, [None] * len(bulks))
    show_rows(console, "Hot destination", pairs, [None] * len(pairs))
    console.print(f"hot / uniform, median of {len(pairs) // 2} pairs: {ratio:.3f}")
    return {
        "single": [row_document(row, echo) for row, echo in singles],
        "bulk": [row_document(row) for row in bulks],
        "hot_pairs": [row_document(row) for row in pairs],
        "hot_over_uniform_median": round(ratio, 3),
    }


def ledger_stage(console: Console) -> dict[str, Any]:
    """Measure the ledger's stage alone, in batches of 1,000."""
    console.print("the ledger's stage alone, batches of 1,000")
    output = subprocess.run(
        [sys.executable, "-m", "bench.ledger", "--quick"], check=True, capture_output=True, text=True
    ).stdout
    result: dict[str, Any] = json.loads(output)
    console.print(result)
    return result


def on_kafka(folder: Path, seconds: int, console: Console) -> dict[str, Any] | None:
    """Measure single transfers on Apache Kafka, warm, where a JDK and Maven are; else say that it was left out."""
    if shutil.which("java") is None or shutil.which("mvn") is None:
        console.print("Apache Kafka was left out: it needs a JDK and Maven")
        return None
    home = folder / "kafka"
    home.mkdir()
    broker = ApacheKafka(home)
    broker.start()
    try:
        with bench_stack(folder / "with-kafka", "--kafka", broker.address) as stack:
            customers = asyncio.run(
                make_world(stack.api, {"email": stack.admin.email, "password": stack.admin.password})
            )
            world = folder / "kafka-world"
            write_world(customers, world)
            console.print("Apache Kafka: warming the JVM")
            measure_row("warm-up", Load(256), stack, world, KAFKA_WARM_UP_SECONDS)
            rows = kafka_rows(stack, world, seconds, console.print)
    finally:
        broker.stop()
    show_rows(console, "On Apache Kafka (its own CPU is not in the sum)", rows, [None] * len(rows))
    return {"single": [row_document(row) for row in rows]}


def _apart(rows: list[Any]) -> tuple[list[Any], list[Any]]:
    return [row for row, _ in rows], [echo for _, echo in rows]


if __name__ == "__main__":
    sys.exit(main())
