"""How long work tells of itself; who shows it, and where, is the caller's affair."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from dslite.records import Progress


class Steps(Protocol):
    """Work of several steps, one after the other."""

    def start(self, title: str, /) -> Progress:
        """Begin the next step; what is returned takes its progress."""

    def tell(self, line: str, /) -> None:
        """Tell the outcome of the step that was begun last."""


class Reporter(Protocol):
    """What is told of progress, and notes."""

    def progress(
        self, steps: int | Sequence[float] = 1, seconds_left: Callable[[], float | None] | None = None, /
    ) -> AbstractContextManager[Steps]:
        """Begin work.

        Args:
            steps: how many there are; or of each, how long it takes in any unit.
            seconds_left: estimates the time left, None where it cannot yet; else it follows from `steps`.
        """

    def note(self, text: str, /) -> None:
        """Tell what the user should know, though the work goes on."""


class Silent:
    """A reporter that tells nothing."""

    @contextmanager
    def progress(
        self, steps: int | Sequence[float] = 1, seconds_left: Callable[[], float | None] | None = None, /
    ) -> Iterator[Steps]:
        """Begin work that nobody looks at."""
        del steps, seconds_left
        yield self

    def start(self, title: str, /) -> Progress:
        """Begin a step."""
        del title
        return lambda _what, _share: None

    def tell(self, line: str, /) -> None:
        """Tell nothing."""

    def note(self, text: str, /) -> None:
        """Tell nothing."""


SILENT = Silent()
