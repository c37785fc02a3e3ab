"""The ``adb`` command: attached devices, commands on them, files to and from them. Only this module starts it.

Its exit codes are not trusted: an unplugged cable gives 0 with one version and 255 with another. A command counts as
done when the device itself has said so, in a last line of ours; a file, when its hash was compared.
"""

import contextlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dslite.errors import MeasurementError, UnknownNameError

_QUICK_S = 30.0
"""For a command that takes no time on the device; adb may have to start its server first."""
_POLL_S = 0.5
_DONE = re.compile(r"dslite-exit:(\d+)\s*$")
_SAY_DONE = "echo dslite-exit:$?"


@dataclass(frozen=True, slots=True)
class Attached:
    """A device as ``adb devices`` lists it.

    Attributes:
        serial: number of a phone on a cable, address of one on the network.
        state: ``device`` where it can be used; ``unauthorized``, ``offline`` and others where not.
    """

    serial: str
    state: str


def executable() -> str:
    """Give the path of adb: ``DSLITE_ADB``, else of the path, else of the Android SDK.

    Raises:
        UnknownNameError: where there is none.
    """
    named = os.environ.get("DSLITE_ADB")
    sdks = [os.environ.get(name) for name in ("ANDROID_HOME", "ANDROID_SDK_ROOT")]
    places = [named] if named else ["adb", *(str(Path(sdk) / "platform-tools" / "adb") for sdk in sdks if sdk)]
    found = next((path for place in places if (path := shutil.which(place))), None)
    if found is None:
        where = f"DSLITE_ADB={named} is no program" if named else "it is not on the path"
        raise UnknownNameError(
            f"no adb, which reaches Android devices: {where}: install it (Debian: apt install adb; "
            "else Google's SDK platform tools), or name it in DSLITE_ADB"
        )
    return found


def version() -> str:
    """Give adb's own version."""
    text = _run(["version"], _QUICK_S).stdout
    found = re.search(r"^Version (\S+)", text, re.MULTILINE)
    return found[1] if found else (text.splitlines() or ["unknown"])[0]


def attached() -> list[Attached]:
    """List what is attached, in whatever state.

    Raises:
        UnknownNameError: where there is no adb.
        MeasurementError: where it fails or does not answer.
    """
    done = _run(["devices"], _QUICK_S)
    heading = "List of devices attached"
    if heading not in done.stdout:
        raise MeasurementError(f"adb does not list devices: {_last_line(done.stderr or done.stdout)}")
    lines = done.stdout.partition(heading)[2].splitlines()
    rows = (line.strip().partition("\t") for line in lines if "\t" in line)
    return [Attached(serial.strip(), state.strip()) for serial, _, state in rows]


def shell(serial: str, command: str, timeout_s: float = _QUICK_S, *, what: str = "a command") -> str:
    """Run a command on a device and give what it printed, its errors among it; `what` names it in an error.

    Raises:
        MeasurementError: where it fails, does not end in time, or the device goes away.
    """
    done = _run(["-s", serial, "shell", f"( {command}\n) 2>&1; {_SAY_DONE}"], timeout_s)
    output = done.stdout.replace("\r\n", "\n")
    ending = _DONE.search(output)
    if ending is None:
        raise _gone(serial, done.stderr or output)
    printed = output[: ending.start()]
    if ending[1] != "0":
        raise MeasurementError(f"{serial}: {what} failed there: {_last_line(printed) or f'exit code {ending[1]}'}")
    return printed


def follow(serial: str, script: str, on_line: Callable[[str], None], timeout_s: float) -> int:
    """Run a script on a device, call `on_line` with each line that it prints, and give what it set ``code`` to.

    The shell that the device starts for us runs it, so that its traps hear when we go away.

    Raises:
        MeasurementError: where it does not end in time, or the device goes away.
    """
    command = ["-s", serial, "shell", f"{script}\necho dslite-exit:$code"]
    last, code = "", None
    with _client(command) as client, _killed_after(timeout_s, client) as has_killed:
        for text in client.stdout or ():
            line = text.rstrip("\r\n")
            last = last if line.startswith(("progress ", "dslite-")) else line or last
            if ending := _DONE.search(line):
                code = int(ending[1])
            else:
                on_line(line)
        if has_killed.is_set():
            raise MeasurementError(f"{serial}: gave up after {timeout_s:g} s")
    if code is None:
        raise _gone(serial, last)
    return code


def push(serial: str, local: Path, remote: str, progress: Callable[[float], None], timeout_s: float) -> None:
    """Copy a file to a device, and tell the fraction that is there; whether it arrived whole the caller compares.

    Raises:
        MeasurementError: where that fails.
    """
    size, end = max(local.stat().st_size, 1), time.monotonic() + timeout_s
    with _client(["-s", serial, "push", str(local), remote]) as client:
        while client.poll() is None:
            if time.monotonic() > end:
                raise MeasurementError(f"{serial}: gave up pushing {local.name} after {timeout_s:g} s")
            with contextlib.suppress(subprocess.TimeoutExpired):
                client.wait(_POLL_S)
                break
            with contextlib.suppress(MeasurementError, ValueError):  # adb shows no progress to a program
                progress(min(int(shell(serial, f"stat -c %s {remote}", _QUICK_S)) / size, 1.0))
        output = client.stdout.read() if client.stdout else ""
    if client.returncode:
        raise MeasurementError(f"{serial}: pushing {local.name} failed: {_error_line(output)}")
    progress(1.0)


def pull(serial: str, remote: str, local: Path, timeout_s: float) -> None:
    """Copy a file from a device.

    Raises:
        MeasurementError: where that fails.
    """
    done = _run(["-s", serial, "pull", remote, str(local)], timeout_s)
    if done.returncode or not local.is_file():
        raise MeasurementError(f"{serial}: pulling {remote} failed: {_error_line(done.stderr or done.stdout)}")


def leave(serial: str, command: str, timeout_s: float = _QUICK_S) -> bool:
    """Run a last command on a device, which an interruption does not end; tell whether it succeeded."""
    try:
        client = _popen(["-s", serial, "shell", f"( {command}\n); {_SAY_DONE}"])
        output, _ = client.communicate(timeout=timeout_s)
    except (OSError, UnknownNameError, subprocess.TimeoutExpired):
        return False
    ending = _DONE.search(output)
    return ending is not None and ending[1] == "0"


def _run(words: Sequence[str], timeout_s: float) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - adb, without a shell of ours
            [executable(), *words],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout_s,
            check=False,
            start_new_session=True,  # Ctrl-C is for us: adb is still needed to tidy up
        )
    except subprocess.TimeoutExpired:
        where = f"{words[1]}: " if words[0] == "-s" else ""
        raise MeasurementError(f"{where}adb {words[0]} gave no answer for {timeout_s:g} s: `adb kill-server`") from None
    except OSError as error:
        raise MeasurementError(f"adb cannot be started: {error.strerror}") from None


def _popen(words: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - likewise
        [executable(), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        start_new_session=True,
    )


@contextlib.contextmanager
def _client(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """Start adb, and end it however the block ends: the device then ends what it does for us."""
    client = _popen(words)
    try:
        yield client
    finally:
        if client.poll() is None:
            client.kill()
        client.wait()
        if client.stdout:
            client.stdout.close()


@contextlib.contextmanager
def _killed_after(timeout_s: float, client: subprocess.Popen[str]) -> Iterator[threading.Event]:
    """Kill a client that takes longer than the block may, the event set before: pipes have no timeout everywhere."""
    has_killed = threading.Event()

    def kill() -> None:
        has_killed.set()
        client.kill()

    timer = threading.Timer(timeout_s, kill)
    timer.daemon = True
    timer.start()
    try:
        yield has_killed
    finally:
        timer.cancel()


def _gone(serial: str, said: str) -> MeasurementError:
    last = _last_line(said)
    return MeasurementError(
        f"{serial} went away: is it still plugged in, awake, and does `adb devices` list it?{last and f' ({last})'}"
    )


def _error_line(text: str) -> str:
    """Give the line in which adb says what went wrong, among those of its progress and a summary."""
    errors = [line.strip() for line in text.splitlines() if "error" in line or "failed" in line]
    return errors[-1] if errors else "adb does not say why: is it still plugged in?"


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
