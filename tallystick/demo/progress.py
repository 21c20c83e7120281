"""What a person sees while the demo works: one line a step, with a bar where there is much to count."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

Advance = Callable[[int], None]
"""Told how many more are done."""


class Steps:
    """Shows steps on a console as they come; a notice stands above them."""

    def __init__(self, console: Console) -> None:
        """Show nothing yet."""
        self._progress = Progress(
            SpinnerColumn(finished_text="[green]✓"),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
        )

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Keep the steps on the screen within the block."""
        with self._progress:
            yield

    @contextmanager
    def step(self, text: str, total: int = 1) -> Iterator[Advance]:
        """Show a step; it is done when the block ends without an error."""
        task = self._progress.add_task(text, total=total)
        yield lambda number: self._progress.advance(task, number)
        self._progress.update(task, completed=total)

    def notice(self, text: str) -> None:
        """Say something worth a line of its own."""
        self._progress.console.print(text, style="yellow", markup=False, highlight=False)
