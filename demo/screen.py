"""What the viewer sees: a narration that scrolls, and under it a table that lives.

Without a terminal (CI, a pipe) the same words come as plain lines, and a line of the table only
when it changed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from demo.checks import Check
from demo.snapshot import Row, Snapshot

PLAIN_WIDTH = 140
PHASE_COLOURS: Mapping[str, str] = {
    "Pending": "yellow",
    "Current": "green",
    "Draining": "cyan",
    "Retiring": "magenta",
    "Retired": "dim",
    "Held": "red",
    "Stopped": "red",
}


class Screen:
    """One console; `close` before anything else writes to it."""

    def __init__(self) -> None:
        plain = not Console().is_terminal
        self._console = Console(width=PLAIN_WIDTH, highlight=False) if plain else Console()
        self._live = None if plain else Live(console=self._console, auto_refresh=False)
        self._started = time.monotonic()
        self._shown: dict[str, Row] = {}
        if self._live:
            self._live.start()

    def close(self) -> None:
        """Leave the last table where it is."""
        if self._live:
            self._live.stop()
            self._live = None

    def chapter(self, title: str) -> None:
        """A new part of the story."""
        self._console.print(f"\n[bold]── {escape(title)}[/bold]")

    def say(self, text: str) -> None:
        """A sentence of the narrator."""
        self._console.print(escape(text))

    def command(self, line: str) -> None:
        """What a person would type to do this."""
        self._console.print(f"[bold blue]$[/bold blue] [blue]{escape(line)}[/blue]")

    def seen(self, text: str) -> None:
        """Something that was waited for has come, with the time since the start."""
        seconds = time.monotonic() - self._started
        self._console.print(f"[green]✔[/green] [dim]{seconds:5.1f} s[/dim] {escape(text)}")

    def show(self, snapshot: Snapshot) -> None:
        """The state of all versions, now."""
        if self._live:
            self._live.update(_table(snapshot), refresh=True)
            return
        for row in snapshot.rows:
            if self._shown.get(row.version) != row:
                self._shown[row.version] = row
                self._console.print(_line(row), soft_wrap=True)

    def verdict(self, checks: Sequence[Check]) -> None:
        """What was checked, and whether it holds."""
        self.close()
        table = Table(title="What was seen", title_justify="left", title_style="bold")
        for column in ("", "check", "seen"):
            table.add_column(column)
        for check in checks:
            mark = "[green]✔[/green]" if check.holds else "[red]✘[/red]"
            table.add_row(mark, escape(check.promise), escape(check.seen))
        self._console.print()
        self._console.print(table)
        seconds = time.monotonic() - self._started
        broken = sum(not check.holds for check in checks)
        words = f"{broken} of {len(checks)} checks do not hold" if broken else "All checks hold"
        self._console.print(f"[bold]{words}.[/bold] The story took {seconds:.0f} s.")

    def failed(self, message: str, clues: str) -> None:
        """The story could not go on; what a person would look at first."""
        self.close()
        self._console.print(f"\n[bold red]The demo stopped:[/bold red] {escape(message)}")
        if clues:
            self._console.print(escape(clues))

    def kept(self, exports: Sequence[str]) -> None:
        """How to go on by hand."""
        self.say("\nIt keeps running. To look around, and to stop it afterwards:")
        for line in (*exports, "kubectl -n shop get qv", "make devcluster-down"):
            self.say(f"  {line}")


def _table(snapshot: Snapshot) -> Table:
    table = Table(expand=True, title_justify="left")
    for name in ("queue", "phase", "jobs done", "workers", "pods", "keys in Redis"):
        table.add_column(name, no_wrap=True)
    table.add_column("why", ratio=1)
    for row in snapshot.rows:
        colour = PHASE_COLOURS.get(row.phase, "white")
        table.add_row(
            f"orders/v{row.version}",
            f"[{colour}]{row.phase}[/{colour}]",
            row.jobs,
            row.workers,
            str(row.pods),
            str(row.keys),
            escape(row.why),
        )
    return table


def _line(row: Row) -> str:
    counts = f"{row.jobs} jobs done, workers {row.workers}, {row.pods} pods, {row.keys} keys"
    return escape(f"    orders/v{row.version} {row.phase}: {counts}. {row.why}")
