"""Draws a soak: one picture, a line for each process, outbox and service, over time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

from bench.soak.growth import SERVICES
from bench.soak.load import Slice
from bench.soak.samples import Sample

mpl.use("svg")

from matplotlib import pyplot as plt

_MIB = 2**20


def draw(samples: Sequence[Sample], slices: Sequence[Slice], file: Path) -> None:
    """Write an SVG of what was seen."""
    figure, axes = plt.subplots(4, 2, figsize=(14, 16), sharex=True, layout="constrained")
    at = [sample.at_seconds / 60 for sample in samples]
    _lines(axes[0][0], "resident memory, MiB", at, {name: _memory_of(samples, name) for name in SERVICES})
    _lines(axes[0][1], "open files", at, {name: _files_of(samples, name) for name in SERVICES})
    roles = sorted({role for sample in samples for role in sample.connections})
    _lines(axes[1][0], "connections", at, {role: [one.connections.get(role, 0) for one in samples] for role in roles})
    _lines(axes[1][1], "records not processed yet", at, {name: _lag_of(samples, name) for name in SERVICES})
    sizes = {"tables": _bytes_of(samples, "table_bytes"), "indexes": _bytes_of(samples, "index_bytes")}
    _lines(axes[2][0], "PostgreSQL, MiB", at, sizes)
    outboxes = sorted({name for sample in samples for name in sample.waiting})
    _lines(axes[2][1], "rows that wait", at, {name: [one.waiting[name] for one in samples] for name in outboxes})
    ended = [each.ended_seconds / 60 for each in slices]
    latencies = {"p50": [each.p50_ms for each in slices], "p99": [each.p99_ms for each in slices]}
    _lines(axes[3][0], "latency, ms", ended, latencies)
    _lines(axes[3][1], "answers a second", ended, {"2xx": [each.answered_per_second for each in slices]})
    for axis in axes[3]:
        axis.set_xlabel("minutes")
    figure.savefig(file)
    plt.close(figure)


def _lines(axis: Any, title: str, at: Sequence[float], lines: dict[str, list[float]]) -> None:
    axis.set_title(title)
    for name, figures in lines.items():
        axis.plot(at, figures, label=name, linewidth=1)
    axis.set_ylim(bottom=0)
    axis.legend(fontsize="small")


def _memory_of(samples: Sequence[Sample], name: str) -> list[float]:
    return [one.processes[name].rss_bytes / _MIB if name in one.processes else float("nan") for one in samples]


def _files_of(samples: Sequence[Sample], name: str) -> list[float]:
    return [one.processes[name].open_files if name in one.processes else float("nan") for one in samples]


def _lag_of(samples: Sequence[Sample], name: str) -> list[float]:
    return [one.lag_records.get(name, float("nan")) for one in samples]


def _bytes_of(samples: Sequence[Sample], part: str) -> list[float]:
    return [sum(getattr(table, part) for table in one.tables.values()) / _MIB for one in samples]
