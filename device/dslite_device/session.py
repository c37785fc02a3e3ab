"""One file on one Android device: what is copied there, how it is run, and how all of it goes away again.

A run has the folder ``/data/local/tmp/dslite`` to itself. In it, ``files`` has what was copied, each file named by its
SHA-256, so that what is there already need not be copied again; ``run`` has what one run makes.
"""

import hashlib
import shlex
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dslite import files
from dslite.errors import MeasurementError
from dslite.records import Flag, Outcome, Plan, Progress
from dslite_device import adb, phone, runner, tools

ROOT = "/data/local/tmp/dslite"
"""Where the shell of adb may write and run programs, on all Android devices."""
COPY_TIMEOUT_S = 600.0
_FIXED_PERFORMANCE_FROM = 30
"""API level of Android 11."""
_FIXED_SAID = "dslite-fixed-performance"
_FIXED = f"{ROOT}/run/fixed"
"""On the device; there while it may keep a sustained performance because a run has asked for that."""
_SWITCH = "cmd power set-fixed-performance-mode-enabled"
_FIX = f": > {_FIXED}; if {_SWITCH} true >/dev/null 2>&1; then echo {_FIXED_SAID}; else rm -f {_FIXED}; fi"
"""Asks for a sustained performance, and says where that was granted."""
_RESTORE = f"{{ [ ! -e {_FIXED} ] || {{ {_SWITCH} false >/dev/null 2>&1 && rm -f {_FIXED}; }}; }}"
"""Gives the device its usual performance back, where a run has asked for another."""
_END = f"""
ours() {{ case "$(readlink "/proc/$1/cwd" 2>/dev/null)" in {ROOT}/run*) ;; *) false;; esac; }}
shell=$(cat {ROOT}/run/shell 2>/dev/null); child=$(cat {ROOT}/run/pid 2>/dev/null); n=0
ours "$shell" && kill -HUP "$shell"
while ours "$shell" && [ $n -lt 100 ]; do sleep 0.1; n=$((n+1)); done
ours "$child" && kill -9 "$child"
"""
"""Ends the shell of a run that is still there, and what it runs. It is waited for, ten seconds at the most: it tidies
up by itself, which must not happen among the files of the next run. Whether a number is another process's by now, the
folder that this is in tells."""
_UNTIDY = "this host could not tidy it up: the device does so itself where it notices, else the next run does"
_COOL_POLL_S = 5.0
_SHARES = {"copy": (0.0, 0.25), "cool": (0.25, 0.25), "time": (0.25, 0.75), "memory": (0.75, 0.95), "host": (0.95, 1.0)}
"""Of a run's progress."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of the target, checked; each is named as its option."""

    runner: str
    runner_path: str
    runtime: str
    backend: str
    cores: str
    cool_s: float
    stop: bool
    fixed: bool
    keep: bool


@dataclass(frozen=True, slots=True)
class Session:
    """One file on one device, whose `state` is that of when it began; `cores` are those to pin to."""

    serial: str
    path: Path
    plan: Plan
    settings: Settings
    tools: tools.Tools
    state: phone.State
    cores: tuple[int, ...]
    progress: Progress

    @property
    def is_fixed(self) -> bool:
        """Tell whether the device is asked to keep a performance that it can sustain."""
        return self.settings.fixed and self.state.api_level >= _FIXED_PERFORMANCE_FROM

    def tell(self, part: str, what: str, fraction: float = 0.0) -> None:
        """Report progress within a part of the run."""
        begin, end = _SHARES[part]
        self.progress(what, begin + fraction * (end - begin))


def in_folder(session: Session, work: Callable[[], Outcome]) -> Outcome:
    """Do a run with a fresh folder on the device, and take that away however the run ends.

    Returns:
        The outcome; where the device could not be tidied up, a flag says so.

    Raises:
        MeasurementError: that of the run; it says so likewise.
    """
    try:
        stuck = "it does not leave the fixed-performance mode that an earlier run asked for: restart it"
        fresh = f"{_RESTORE} || {{ echo {stuck}; exit 1; }}; rm -rf {ROOT}/run && mkdir -p {ROOT}/files {ROOT}/run"
        adb.shell(session.serial, _END + fresh, what="making its folder")
        outcome = work()
    except MeasurementError as error:
        if not _tidied(session):
            raise MeasurementError(f"{error}; {_UNTIDY}", error.measured) from error
        raise
    except BaseException:
        _tidied(session)
        raise
    if _tidied(session):
        return outcome
    cure = f"`adb -s {session.serial} shell {_SWITCH} false`"
    flag = Flag("untidy", f"{session.path.name} on {session.serial}: {_UNTIDY}; or {cure}")
    return replace(outcome, flags=(*outcome.flags, flag))


def _tidied(session: Session) -> bool:
    """Take a run away from the device, and tell whether that succeeded."""
    return adb.leave(session.serial, _END + _gone(session))


def _gone(session: Session) -> str:
    """Give the command that restores the device and takes files away; not the mark of what could not be restored."""
    return f"{_RESTORE} && rm -rf {f'{ROOT}/run' if session.settings.keep else ROOT}"


def copied(session: Session, paths: Sequence[Path]) -> list[str]:
    """Copy files to the device where they are not there yet, and give their paths there.

    Raises:
        MeasurementError: where one cannot be copied, or arrives changed.
    """
    wanted = {path: f"{ROOT}/files/{files.sha256(path)}" for path in paths}
    there = _whole(session.serial)
    missing = {path: place for path, place in wanted.items() if place not in there}
    total, done = sum(path.stat().st_size for path in missing) or 1, 0
    for path, place in missing.items():
        size = path.stat().st_size

        def progress(share: float, path: Path = path, before: int = done, size: int = size) -> None:
            session.tell("copy", f"copying {path.name}", (before + share * size) / total)

        adb.push(session.serial, path, place, progress, COPY_TIMEOUT_S)
        done += size
    if missing:
        whole = _whole(session.serial)
        torn = [path.name for path, place in missing.items() if place not in whole]
        if torn:
            raise MeasurementError(
                f"{session.serial}: {', '.join(torn)} arrived changed (SHA-256): try another cable or port"
            )
    adb.shell(session.serial, f"chmod 755 {wanted[session.tools.runner]}", what="chmod")
    return list(wanted.values())


def _whole(serial: str) -> set[str]:
    """Give the paths of the files on the device whose content is what their name says; others are taken away."""
    # The first is there always, so that a device without the command is told before anything is copied.
    each = f'for f in /dev/null {ROOT}/files/*; do [ -e "$f" ] && sha256sum "$f"; done; true'
    listed = adb.shell(serial, each, COPY_TIMEOUT_S, what="comparing what was copied")
    rows = (line.split(maxsplit=1) for line in listed.splitlines() if line.strip())
    found = {row[1].strip(): row[0] for row in rows if len(row) > 1}
    if found.pop("/dev/null", "") != hashlib.sha256().hexdigest():
        raise MeasurementError(f"{serial}: expected SHA-256 sums (Android 8 and later), got: {listed.strip()[:80]}")
    whole = {place for place, digest in found.items() if place.endswith(digest)}
    if set(found) - whole:
        adb.shell(serial, f"rm -f {shlex.join(sorted(set(found) - whole))}", what="rm")
    return whole


def _script(session: Session, command: str) -> str:
    """Give the shell script of a run.

    Whatever ends it, also where the cable is pulled: the device's own shell hears of that, ends the run, gives the
    device its usual performance back, and tidies up.
    """
    lines = [
        f"cd {ROOT}/run || {{ echo dslite-exit:1; exit 1; }}",
        "trap '' PIPE",  # nobody listens any more: that must not end us before we have tidied up
        f"trap 'kill -9 $! 2>/dev/null; {_gone(session)}; exit 1' HUP INT TERM",
        "echo $$ > shell",
        *([_FIX] if session.is_fixed else []),
        f"{command} & child=$!",
        "echo $child > pid",
        "wait $child; code=$?",
        _RESTORE,
        "rm -f pid shell",
    ]
    return "\n".join(lines)


def follow(session: Session, part: str, command: str, timeout_s: float) -> tuple[int, bool]:
    """Run a command on the device; give its exit code, and whether the device said it keeps a sustained performance."""
    fixed = False

    def on_line(line: str) -> None:
        nonlocal fixed
        fixed = fixed or line == _FIXED_SAID
        if told := runner.progress_of(line):
            session.tell(part, *told)

    code = adb.follow(session.serial, _script(session, command), on_line, timeout_s)
    return code, fixed


def wait_until_cool(session: Session) -> tuple[phone.State, float]:
    """Wait until the device is not hot, as long as the settings allow; give its state, and the seconds waited."""
    begin = time.monotonic()
    state = phone.state(session.serial)  # copying takes time, and an earlier run may have had to be ended first
    while state.thermal_status and (waited := time.monotonic() - begin) < session.settings.cool_s:
        status = phone.THERMAL_STATUS[state.thermal_status]
        session.tell("cool", f"waiting until it is cool ({status}, {waited:.0f} s)")
        time.sleep(min(_COOL_POLL_S, session.settings.cool_s - waited))
        state = phone.state(session.serial)
    return state, time.monotonic() - begin
