"""How far a long work is, on stderr: a bar on a terminal, a line a step elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Watched:
    """While its block lasts, ``tell`` shows what is being done and how much of all of it is done."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
        )
        self._task = self._bar.add_task(title, total=1.0)
        self._said = ""

    def __enter__(self) -> Watched:
        if self._console.is_terminal:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def tell(self, doing: str, done: float) -> None:
        """``done`` is a part of 1."""
        if self._console.is_terminal:
            self._bar.update(self._task, description=f"{self._title}: {doing}", completed=done)
        elif doing != self._said:
            self._console.print(f"{self._title}: {doing} …", markup=False, highlight=False, soft_wrap=True)
        self._said = doing
