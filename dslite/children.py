"""Child processes that answer in lines of JSON and never outlive their parent. Standard library only.

The parent writes its request, one line, to the child's standard input and leaves that open; the child takes its end
for the death of the parent. So a parent that is killed leaves nobody behind who would long disturb what comes next.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, NoReturn, TextIO

from dslite.native import debug

_GRACE_S = 10.0
"""A child that is asked to end has so long to take its own children and temporary files along."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a child ended.

    Attributes:
        code: its exit code, or minus the number of the signal that ended it.
        gave_up: whether it took longer than it was given.
        last_words: the last line it wrote to standard error.
    """

    code: int
    gave_up: bool
    last_words: str


def follow(
    module: str,
    request: Mapping[str, Any],
    receive: Callable[[dict[str, Any]], None],
    *,
    timeout_s: float,
    renewed: bool = False,
    label: str = "",
    environment: Mapping[str, str] | None = None,
) -> Ending:
    """Run ``python -m module`` in a fresh process until it ends.

    Args:
        module: calls `take_request`, then `say`.
        request: JSON-ready.
        receive: called with each object the child says, while it runs.
        timeout_s: kill the child after so many seconds,
        renewed: or after so many without a word from it.
        label: shown beside the module's name where processes are listed.
        environment: added to our own.
    """
    # -P: the user's folder must not be searched for modules, a random.py there would be imported.
    command = [sys.executable, "-P", "-m", module, *filter(None, [label])]
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if debug() else log,
            env={**os.environ, **({} if debug() else {"TF_CPP_MIN_LOG_LEVEL": "3"}), **(environment or {})},
            encoding="utf-8",
            errors="replace",
        )
        watch = _Watch(child, timeout_s)
        try:
            _send(child, request)
            for message in _messages(child):
                if renewed:
                    watch.renew()
                receive(message)
            code = child.wait()
        finally:
            watch.end()
            _end(child)
        return Ending(code, watch.gave_up, _last_line(log))


def _send(child: subprocess.Popen[str], request: Mapping[str, Any]) -> None:
    assert child.stdin  # noqa: S101 - it is a pipe
    with contextlib.suppress(OSError):  # it died at once: its exit code tells
        child.stdin.write(json.dumps(request) + "\n")
        child.stdin.flush()


def _messages(child: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    """Give the objects a child says."""
    for line in child.stdout or ():
        try:
            message = json.loads(line)
        except ValueError:
            continue
        if isinstance(message, dict):
            yield message


def _end(child: subprocess.Popen[str]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.wait(_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe:
            with contextlib.suppress(OSError):
                pipe.close()


class _Watch:
    """Kills a child when its time is up."""

    def __init__(self, child: subprocess.Popen[str], timeout_s: float) -> None:
        self._child = child
        self._timeout_s = timeout_s
        self._ended = threading.Event()
        self.gave_up = False
        self.renew()
        threading.Thread(target=self._watch, daemon=True).start()

    def renew(self) -> None:
        self._deadline = time.monotonic() + self._timeout_s

    def end(self) -> None:
        self._ended.set()

    def _watch(self) -> None:
        while not self._ended.wait(max(0.0, self._deadline - time.monotonic())):
            if time.monotonic() >= self._deadline:
                self.gave_up = True
                self._child.kill()
                return


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else ""


def in_words(ending: Ending, what: str = "process", cause: str = "") -> str:
    """Say how a child ended that did not end well: what ran there, and the probable cause of a crash."""
    last = f" (last words: {ending.last_words})" if ending.last_words else ""
    name = _signal_name(-ending.code)
    if ending.code < 0 and name == "SIGKILL":
        return "its process was killed (SIGKILL), which the system does when memory runs out: is there enough?"
    if ending.code < 0:
        return f"its {what} crashed with {name}{cause and f': {cause}'}{last}"
    return f"its {what} ended with exit code {ending.code}{last}"


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


# -- signals ------------------------------------------------------------------------------------------


class Signalled(KeyboardInterrupt):
    """Unwinds the stack, so that temporary files and child processes go; nobody takes it for a plugin's failure.

    Attributes:
        code: to end with.
    """

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number  # as shells tell it


def _raise(number: int, frame: FrameType | None) -> NoReturn:
    del frame
    raise Signalled(number)


def end_by_unwinding(*signals: str) -> None:
    """Let signals end this process as an interruption does; where one is ignored already, as by nohup, it stays so."""
    for name in signals:
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is not signal.SIG_IGN:
            signal.signal(getattr(signal, name), _raise)


# -- in the child -------------------------------------------------------------------------------------


_channel: list[TextIO] = []


def take_request(end: Callable[[], None] = lambda: os._exit(1)) -> Any:
    """Read the request; from then on, the parent's death is noticed, and `say` reaches the parent.

    Standard input and output become the null device and standard error: what libraries print is no message, and a
    process that is started here and stays behind does not keep the parent waiting.

    Args:
        end: called from a thread when the parent is gone.
    """
    source = os.dup(0)
    _channel.append(os.fdopen(os.dup(1), "w", encoding="utf-8"))
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    line = b""
    while not line.endswith(b"\n") and (block := os.read(source, 1 << 16)):
        line += block

    def wait() -> None:
        while os.read(source, 1):
            pass
        end()

    threading.Thread(target=wait, daemon=True).start()
    return json.loads(line)


def say(message: Mapping[str, Any]) -> None:
    """Tell the parent something JSON-ready."""
    text = json.dumps(message)  # before a part of it is written
    _channel[0].write(text + "\n")
    _channel[0].flush()
