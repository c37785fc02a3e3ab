"""An Android device emulated on loopback, for the real ``adb`` client: ``adb connect 127.0.0.1:PORT``.

It speaks adb's wire protocol over TCP (AOSP, packages/modules/adb: protocol.txt, SYNC.TXT, shell_protocol.h) and runs
commands with Android's shell, mksh, and its commands, toybox, where this host has them (else ``sh`` and its own), in a
folder that stands for the device's root. Paths of a device in commands and sync requests, ``/data/local/tmp``, ``/sys``
and a few of ``/proc``, become paths below that folder, and paths in what commands print are mapped back. Paths that a
program has in itself are not mapped: they must be given to it.

What the real client shows of faults (adb 29.0.6 and 36.0.0; ``adb connect`` always ends with 0):

- `Faults.authorised` False: ``unauthorized``; ``adb connect`` says "failed to authenticate".
- `EmulatedDevice.unplug`: ``offline`` from then on, as the server tries to reconnect to what was on the network; a
  phone on a cable is no longer listed. A running ``adb shell`` ends with 0 (29) or 255 (36).
"""

import contextlib
import dataclasses
import errno
import os
import queue
import re
import secrets
import select
import shlex
import shutil
import signal
import socket
import stat
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import pytest

_CLIENT_S = 30.0
"""No client of ours may take longer."""
_HEADER = struct.Struct("<4sIIIII")
_VERSION, _MAX_PAYLOAD = 0x01000001, 1 << 20
"""Since this version, data of a packet has no checksum."""
_AUTH_TOKEN, _AUTH_SIGNATURE = 1, 2
_STDOUT, _STDERR, _EXIT = 1, 2, 3
"""Ids of the packets of shell_v2; what the client types is not read."""
_SYNC_BLOCK = 1 << 16
_STAT_V2 = struct.Struct("<4sIQQIIIIQqqq")
_POLL_S, _AGAIN_S = 0.05, 2.0
_DEVICE_PATH = re.compile(r"(?<![\w./-])/(data/local/tmp|sys|proc/(?:meminfo|loadavg|cpuinfo))(?![\w.-])")


@dataclass(frozen=True, slots=True)
class Faults:
    """What goes wrong; by default nothing. An unplugging happens once.

    Attributes:
        unplug_after_pushed_bytes: counted over all pushed files.
        unplug_when_command_has: unplug when a shell command with this text runs,
        kill_when_command_has: or SIGKILL all processes of such a command, as the low memory killer does,
        waits_for: once this file is there: its path below the device's root,
        kill_spares_shell: but not its shell, which then sees exit code 137.
        disk_bytes: space below ``/data/local/tmp`` for pushed files.
        corrupt_push: each pushed file arrives with a byte changed.
        corrupt_pull: a file of this name comes with its last byte changed, as if the device had written that.
        truncate_pull_bytes: of each pulled file, only so many bytes come.
        authorised: False: the user has not allowed this computer.
        replaced_output: a shell command that has the key prints the value instead of being run.
    """

    unplug_after_pushed_bytes: int | None = None
    unplug_when_command_has: str | None = None
    kill_when_command_has: str | None = None
    waits_for: str = ""
    kill_spares_shell: bool = False
    disk_bytes: int | None = None
    corrupt_push: bool = False
    corrupt_pull: str | None = None
    truncate_pull_bytes: int | None = None
    authorised: bool = True
    replaced_output: Mapping[str, str] = field(default_factory=dict)


class EmulatedDevice:
    """A plausible phone with Android 13, its folder filled at the start. A context manager; afterwards nothing runs.

    Args:
        root: folder that stands for the device's ``/``.
        shell_v2: False for an old device: no exit codes, stderr in stdout, and commands outlive their client.
        model: its ``ro.product.model``.
        faults: may be replaced at any time.
    """

    def __init__(
        self, root: Path, *, shell_v2: bool = True, model: str = "Emulated 1", faults: Faults | None = None
    ) -> None:
        self.root = root.absolute()
        self.folder = self.root / "data/local/tmp"
        self.shell_v2 = shell_v2
        self.faults = faults or Faults()
        self.commands: list[str] = []
        self._sessions: list[int] = []
        self._connections: list[_Connection] = []
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._pushed_bytes = 0
        self._fill(model)
        self._listener: socket.socket | None = None
        self.address = "127.0.0.1:0"
        self.plug()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
        for pid in self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for thread in self._threads:
            thread.join(_CLIENT_S)

    # -- for tests ------------------------------------------------------------------------------------

    @property
    def calls(self) -> list[str]:
        """What was asked of the device's own commands that change something, in order."""
        log = self.root / "log"
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []

    def set_property(self, name: str, value: str) -> None:
        """Set what ``getprop`` tells."""
        path = self.root / "properties"
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        kept = [line for line in lines if not line.startswith(f"{name}=")]
        path.write_text("\n".join([*kept, f"{name}={value}"]) + "\n", encoding="utf-8")

    def write(self, place: str, text: str) -> None:
        """Write a file below the root, such as ``sys/class/thermal/thermal_zone0/temp`` or ``dumpsys/battery``."""
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def running(self) -> list[int]:
        """Give the processes of all commands that are still alive."""
        with self._lock:
            sessions = set(self._sessions)
        return [pid for session, pid in _processes() if session in sessions]

    def unplug(self) -> None:
        """Close the connections, and refuse new ones until `plug`."""
        with self._lock:
            listener, self._listener = self._listener, None
            connections, self._connections = self._connections, []
        if listener:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            listener.close()
        for connection in connections:
            connection.end()

    def plug(self) -> None:
        """Accept connections again, at the same address."""
        if self._listener is None:
            host, _, port = self.address.rpartition(":")
            self._listener = socket.create_server((host, int(port)))
            self.address = f"{host}:{self._listener.getsockname()[1]}"
            self.follow(self._accept, self._listener)

    # -- the sandbox ----------------------------------------------------------------------------------

    def here(self, text: str) -> str:
        """Map paths of the device in a text to paths of this host."""
        return _DEVICE_PATH.sub(lambda found: f"{self.root}{found[0]}", text)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        """Start a shell command of the client, in a session of its own; with its faults."""
        faults = self.faults
        self.commands.append(command)
        replaced = next((text for key, text in faults.replaced_output.items() if key in command), None)
        script = self.here(command) if replaced is None else f"printf %s {shlex.quote(replaced)}"
        process = subprocess.Popen(
            [shutil.which("mksh") or "sh", "-c", script],
            cwd=self.root,
            env={"PATH": f"{self.root}/bin:{os.environ['PATH']}", "EMULATED_ROOT": str(self.root)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if self.shell_v2 else subprocess.STDOUT,
            bufsize=0,
            start_new_session=True,
        )
        with self._lock:
            self._sessions.append(process.pid)
        if faults.unplug_when_command_has and faults.unplug_when_command_has in command:
            self.faults = dataclasses.replace(faults, unplug_when_command_has=None)
            self.follow(self._later, faults, self.unplug)
        if faults.kill_when_command_has and faults.kill_when_command_has in command:
            spared = process.pid if faults.kill_spares_shell else 0
            kill = partial(_kill_session, process.pid, spared)
            self.follow(self._later, faults, kill)
        return process

    def _later(self, faults: Faults, work: Callable[[], None]) -> None:
        end = time.monotonic() + _CLIENT_S
        while not (self.root / faults.waits_for).exists() and time.monotonic() < end:
            time.sleep(0.01)
        work()

    def count_pushed(self, n_bytes: int) -> None:
        """Count bytes of a push; unplug where that is the fault."""
        self._pushed_bytes += n_bytes
        limit = self.faults.unplug_after_pushed_bytes
        if limit is not None and self._pushed_bytes >= limit:
            self.faults = dataclasses.replace(self.faults, unplug_after_pushed_bytes=None)
            self.unplug()

    def _fill(self, model: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, value in {**_PROPERTIES, "ro.product.model": model}.items():
            self.set_property(name, value)
        for place, text in _FILES.items():
            self.write(place, text)
        for name, text in _SCRIPTS.items():
            self.write(f"bin/{name}", f"#!/bin/sh\n{text}")
            (self.root / "bin" / name).chmod(0o755)
        toybox = shutil.which("toybox")
        for name in _TOYBOX if toybox else ():
            (self.root / "bin" / name).symlink_to(toybox or "")

    def follow(self, work: Callable[..., None], *given: object) -> None:
        """Run something in a thread, which ends with the device."""
        thread = threading.Thread(target=work, args=given, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection = _Connection(self, listener.accept()[0])
            except OSError:  # unplugged
                return
            with self._lock:
                plugged = self._listener is listener
                self._connections += [connection] if plugged else []
            if plugged:
                self.follow(connection.serve)
            else:
                connection.end()


def _processes() -> Iterator[tuple[int, int]]:
    """Give session and id of every process that is alive."""
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            if state != "Z":
                yield int(session), int(path.parent.name)


def _kill_session(session: int, spared: int) -> None:
    time.sleep(0.3)  # by then, all that it starts is there
    for of, pid in _processes():
        if of == session and pid != spared:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


# -- the wire protocol --------------------------------------------------------------------------------


class _Connection:
    """One client: packets come in and go to their streams."""

    def __init__(self, device: EmulatedDevice, peer: socket.socket) -> None:
        self._device = device
        self._peer = peer
        self._sending = threading.Lock()
        self._streams: dict[int, _Stream] = {}
        self._n_opened = 0
        self._checksums = True
        self.max_payload = 4096

    def serve(self) -> None:
        """Take packets until the connection ends."""
        with contextlib.suppress(OSError), self._peer.makefile("rb") as peer:
            while len(header := peer.read(_HEADER.size)) == _HEADER.size:
                command, arg0, arg1, size, _, _ = _HEADER.unpack(header)
                self._take(command, arg0, arg1, peer.read(size))
        self.end()

    def send(self, command: bytes, arg0: int, arg1: int, data: bytes = b"") -> None:
        """Send a packet; nothing happens where the client is gone."""
        magic = int.from_bytes(command, "little") ^ 0xFFFFFFFF
        checksum = sum(data) & 0xFFFFFFFF if self._checksums else 0
        with self._sending, contextlib.suppress(OSError):
            self._peer.sendall(_HEADER.pack(command, arg0, arg1, len(data), checksum, magic) + data)

    def end(self) -> None:
        """Close the connection; its streams hear of it."""
        with contextlib.suppress(OSError):
            self._peer.shutdown(socket.SHUT_RDWR)
        self._peer.close()
        for stream in list(self._streams.values()):
            stream.hang_up()

    def _take(self, command: bytes, arg0: int, arg1: int, data: bytes) -> None:
        faults = self._device.faults
        if command == b"CNXN" and faults.authorised:
            self.max_payload = min(arg1, _MAX_PAYLOAD)
            self.send(b"CNXN", _VERSION, self.max_payload, self._banner())
            self._checksums = arg0 < _VERSION
        elif command == b"CNXN" or (command == b"AUTH" and arg0 == _AUTH_SIGNATURE):
            # Every key of the client is refused; its last word is a new key, and the user never answers that.
            self.send(b"AUTH", _AUTH_TOKEN, 0, secrets.token_bytes(20))
        elif command == b"OPEN":
            self._open(arg0, data.rstrip(b"\0").decode())
        elif stream := self._streams.get(arg1):
            if command == b"WRTE":
                stream.incoming.put(data)
            elif command == b"OKAY":
                stream.ready.release()
            elif command == b"CLSE":
                stream.close()

    def _banner(self) -> bytes:
        properties = (self._device.root / "properties").read_text(encoding="utf-8").splitlines()
        named = [each for each in properties if re.match(r"ro\.product\.(name|model|device)=", each)]
        features = ["features=shell_v2,cmd,stat_v2"] if self._device.shell_v2 else []
        return f"device::{''.join(f'{each};' for each in [*named, *features])}".encode()

    def _open(self, remote: int, service: str) -> None:
        self._n_opened += 1
        stream = _Stream(self, self._n_opened, remote)
        kind, _, command = service.partition(":")
        if kind == "sync":
            work: Callable[[], None] = partial(_sync, self._device, stream)
        elif kind == "shell" or (kind.startswith("shell,v2") and self._device.shell_v2):
            work = partial(_shell, self._device, stream, command, packets=kind != "shell")
        else:
            self.send(b"CLSE", 0, remote)
            return
        self._streams[stream.local] = stream
        self.send(b"OKAY", stream.local, remote)
        self._device.follow(work)

    def forget(self, stream: "_Stream") -> None:
        """Have no more of a stream."""
        self._streams.pop(stream.local, None)


class _Stream:
    """One service for one client. Either side sends one packet and waits for its OKAY."""

    def __init__(self, connection: _Connection, local: int, remote: int) -> None:
        self._connection = connection
        self.local = local
        self._remote = remote
        self.incoming: queue.Queue[bytes] = queue.Queue()
        self.ready = threading.Semaphore(1)
        self.closed = threading.Event()
        self._buffer = b""

    def read(self, n_bytes: int) -> bytes:
        """Give the next so many bytes.

        Raises:
            EOFError: where the stream ends before.
        """
        parts, missing = [self._buffer], n_bytes - len(self._buffer)
        while missing > 0:
            parts.append(self.receive())
            missing -= len(parts[-1])
        data = b"".join(parts)
        self._buffer = data[n_bytes:]
        return data[:n_bytes]

    def receive(self) -> bytes:
        """Give what comes next, one byte at least.

        Raises:
            EOFError: at the end.
        """
        data = self.incoming.get()
        if not data:
            self.incoming.put(data)
            raise EOFError
        self._connection.send(b"OKAY", self.local, self._remote)
        return data

    def write(self, data: bytes) -> None:
        """Send data; the client must have taken all before.

        Raises:
            EOFError: where nobody takes it any more.
        """
        size = self._connection.max_payload
        for begin in range(0, len(data), size):
            if not self.closed.is_set():
                self.ready.acquire()
            if self.closed.is_set():
                raise EOFError
            self._connection.send(b"WRTE", self.local, self._remote, data[begin : begin + size])

    def close(self) -> None:
        """End the stream, and tell the client once."""
        if not self.closed.is_set():
            self.hang_up()
            self._connection.send(b"CLSE", self.local, self._remote)
        self._connection.forget(self)

    def hang_up(self) -> None:
        """Have whoever reads or writes here know that the client is gone."""
        self.closed.set()
        self.incoming.put(b"")
        self.ready.release()


# -- shell --------------------------------------------------------------------------------------------


def _shell(device: EmulatedDevice, stream: _Stream, command: str, *, packets: bool) -> None:
    """Run a command for a client: its exit code and its stderr apart where packets are spoken."""
    process = device.start(command)
    assert process.stdout
    pipes = {process.stdout: _STDOUT, **({process.stderr: _STDERR} if process.stderr else {})}
    rests = dict.fromkeys(pipes, b"")
    with contextlib.suppress(EOFError):
        while pipes and not stream.closed.is_set():
            for pipe in select.select(list(pipes), [], [], _POLL_S)[0]:
                data = os.read(pipe.fileno(), _SYNC_BLOCK)
                text, rests[pipe] = _device_paths(device.root, rests[pipe] + data, more=bool(data))
                if text:
                    stream.write(_packet(pipes[pipe], text) if packets else text)
                if not data:
                    del pipes[pipe]
    if stream.closed.is_set() and packets and process.poll() is None:
        process.send_signal(signal.SIGHUP)  # to the shell alone, as adbd does; without packets nobody is told
    for output in filter(None, (process.stdout, process.stderr)):
        output.close()
    code = process.wait()
    with contextlib.suppress(EOFError):
        if packets:
            stream.write(_packet(_EXIT, bytes([code if code >= 0 else 128 - code])))
    stream.close()


def _packet(kind: int, data: bytes) -> bytes:
    return struct.pack("<BI", kind, len(data)) + data


def _device_paths(root: Path, data: bytes, *, more: bool) -> tuple[bytes, bytes]:
    """Map paths of this host in a command's output to paths of the device.

    Returns:
        What is finished, and a rest that the next output may complete to such a path.
    """
    prefix = f"{root}/".encode()
    data = data.replace(prefix, b"/")
    lengths = range(min(len(prefix) - 1, len(data)), 0, -1) if more else ()
    rest = next((n for n in lengths if prefix.startswith(data[-n:])), 0)
    return data[: len(data) - rest], data[len(data) - rest :]


# -- sync ---------------------------------------------------------------------------------------------


def _sync(device: EmulatedDevice, stream: _Stream) -> None:
    """Serve requests about files until the client has no more."""
    with contextlib.suppress(EOFError):
        while (request := _request(stream))[0] != b"QUIT":
            kind, size = request
            path = stream.read(size).decode()
            try:
                _answer(device, stream, kind, path)
            except OSError as error:
                _fail(stream, f"{kind.decode()} {path}: {error.strerror}")
    stream.close()


def _request(stream: _Stream) -> tuple[bytes, int]:
    kind, number = struct.unpack("<4sI", stream.read(8))
    return kind, number


def _answer(device: EmulatedDevice, stream: _Stream, kind: bytes, path: str) -> None:
    if kind == b"SEND":
        _take_file(device, stream, path)
    elif kind == b"RECV":
        _give_file(device, stream, Path(device.here(path)))
    elif kind == b"STAT":
        stream.write(struct.pack("<4s3I", kind, *_mode_size_time(Path(device.here(path)))))
    elif kind in {b"STA2", b"LST2"}:
        stream.write(_stat_v2(kind, Path(device.here(path))))
    else:
        _fail(stream, f"unknown command {kind!r}")


def _fail(stream: _Stream, message: str) -> None:
    stream.write(struct.pack("<4sI", b"FAIL", len(message.encode())) + message.encode())


def _mode_size_time(path: Path) -> tuple[int, int, int]:
    try:
        found = path.lstat()
    except OSError:
        return 0, 0, 0
    return found.st_mode, found.st_size & 0xFFFFFFFF, int(found.st_mtime)


def _stat_v2(kind: bytes, path: Path) -> bytes:
    try:
        found = path.stat() if kind == b"STA2" else path.lstat()
    except OSError as error:
        return _STAT_V2.pack(kind, error.errno or errno.ENOENT, *[0] * 10)
    times = (int(found.st_atime), int(found.st_mtime), int(found.st_ctime))
    ids = (found.st_mode, found.st_nlink, found.st_uid, found.st_gid)
    return _STAT_V2.pack(kind, 0, found.st_dev, found.st_ino, *ids, found.st_size, *times)


def _give_file(device: EmulatedDevice, stream: _Stream, path: Path) -> None:
    left = device.faults.truncate_pull_bytes
    if path.name == device.faults.corrupt_pull:
        _flip(path, -1)
    with path.open("rb") as file:
        while block := file.read(_SYNC_BLOCK if left is None else min(left, _SYNC_BLOCK)):
            stream.write(struct.pack("<4sI", b"DATA", len(block)) + block)
            left = None if left is None else left - len(block)
    stream.write(struct.pack("<4sI", b"DONE", 0))


def _take_file(device: EmulatedDevice, stream: _Stream, request: str) -> None:
    """Write a file that the client sends; after a failure, the rest is read and thrown away, as adbd does."""
    name, _, mode = request.rpartition(",")
    path, blocks = Path(device.here(name)), _blocks(stream)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        _save(device, path, blocks)
        path.chmod(stat.S_IMODE(int(mode)))
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        _fail(stream, f"couldn't write to '{name}': {error.strerror}")
        for _ in blocks:
            pass
        return
    if device.faults.corrupt_push:
        _flip(path, path.stat().st_size // 2)
    stream.write(struct.pack("<4sI", b"OKAY", 0))


def _blocks(stream: _Stream) -> Iterator[bytes]:
    while (part := _request(stream))[0] == b"DATA":
        yield stream.read(part[1])


def _save(device: EmulatedDevice, path: Path, blocks: Iterator[bytes]) -> None:
    limit = device.faults.disk_bytes
    used = sum(each.stat().st_size for each in device.folder.rglob("*") if each.is_file())
    with path.open("wb") as file:
        for block in blocks:
            used += len(block)
            if limit is not None and used > limit:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            file.write(block)
            device.count_pushed(len(block))


def _flip(path: Path, i: int) -> None:
    data = bytearray(path.read_bytes())
    if data:
        data[i] ^= 0xFF
    path.write_bytes(data)


# -- what a phone has ---------------------------------------------------------------------------------

_PROPERTIES = {
    "ro.build.fingerprint": "Example/emulated/emulated:13/TQ3A.230901.001/1:user/release-keys",
    "ro.product.manufacturer": "Example",
    "ro.product.name": "emulated",
    "ro.product.device": "emulated",
    "ro.build.version.release": "13",
    "ro.build.version.sdk": "33",
    "ro.product.cpu.abi": "x86_64",
    "ro.product.cpu.abilist": "x86_64",
    "ro.soc.manufacturer": "Example",
    "ro.soc.model": "EX1",
    "ro.board.platform": "ex1",
}

_BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: true
  status: 3
  level: 80
  scale: 100
  voltage: 4021
  temperature: 310
  technology: Li-ion
"""

_THERMAL = """IsStatusOverride: false
Thermal Status: 0
Cached temperatures:
\tTemperature{mValue=41.0, mType=0, mName=cpu-0, mStatus=0}
\tTemperature{mValue=31.0, mType=2, mName=battery, mStatus=0}
\tTemperature{mValue=33.5, mType=3, mName=skin, mStatus=0}
HAL Ready: true
"""

_MEMORY = """MemTotal:        4028416 kB
MemFree:          311572 kB
MemAvailable:    1874228 kB
"""


def _core(number: int, max_khz: int) -> dict[str, str]:
    folder = f"sys/devices/system/cpu/cpu{number}/cpufreq"
    known = {"cpuinfo_max_freq": max_khz, "scaling_max_freq": max_khz, "scaling_cur_freq": max_khz // 2}
    return {f"{folder}/{name}": f"{khz}\n" for name, khz in known.items()} | {
        f"{folder}/scaling_governor": "schedutil\n"
    }


_FILES = {
    **_core(0, 1_800_000),
    **_core(1, 2_400_000),
    "sys/devices/system/cpu/possible": "0-1\n",
    "sys/devices/system/cpu/online": "0-1\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-0\n",
    "sys/class/thermal/thermal_zone0/temp": "41000\n",
    "sys/class/power_supply/battery/temp": "310\n",
    "sys/class/power_supply/battery/capacity": "80\n",
    "sys/class/power_supply/battery/status": "Discharging\n",
    "dumpsys/battery": _BATTERY,
    "dumpsys/thermalservice": _THERMAL,
    "dumpsys/power": "POWER MANAGER (dumpsys power)\n  mWakefulness=Awake\n  mWakefulnessChanging=false\n",
    "proc/meminfo": _MEMORY,
    "proc/loadavg": "0.40 0.52 0.48 1/1893 21047\n",
    "proc/cpuinfo": "processor\t: 0\nprocessor\t: 1\nHardware\t: EX1\n",
}

_SCRIPTS = {
    "getprop": r"""
[ $# -gt 0 ] || exec sed 's/^\([^=]*\)=\(.*\)$/[\1]: [\2]/' "$EMULATED_ROOT/properties"
value=$(grep -m 1 -F "$1=" "$EMULATED_ROOT/properties"); echo "${value#*=}"
""",
    "dumpsys": """
cat "$EMULATED_ROOT/dumpsys/$1" 2>/dev/null || echo "Can't find service: $1" >&2
""",
    "settings": """
[ "$1 $2" = "get global" ] || { echo "Invalid command: $1" >&2; exit 255; }
cat "$EMULATED_ROOT/settings/$3" 2>/dev/null || echo null
""",
    "cmd": """
echo "cmd $*" >> "$EMULATED_ROOT/log"
if [ "$1 $2" != "power set-fixed-performance-mode-enabled" ] || [ "$(getprop ro.build.version.sdk)" -lt 30 ]; then
  echo "Unknown command: $2"; exit 255
fi
sleep "$(cat "$EMULATED_ROOT/slow" 2>/dev/null || echo 0)"
[ ! -e "$EMULATED_ROOT/refuses_$3" ] || { echo "Failure"; exit 255; }
echo "$3" > "$EMULATED_ROOT/fixed_performance"
""",
}


_TOYBOX = ("cat", "chmod", "grep", "mkdir", "readlink", "rm", "sed", "sha256sum", "sleep", "stat", "tail", "taskset")
"""Commands that dslite uses, as Android has them."""


# -- the client ---------------------------------------------------------------------------------------


def cannot_emulate() -> str:
    """Say why this machine cannot stand in for a phone; empty where it can."""
    if shutil.which("adb") is None:
        return "there is no adb on the path: apt install adb"
    if not {0, 1} <= os.sched_getaffinity(0):
        return "the emulated phone has cores 0 and 1, and this process may not run on both"
    return ""


@contextlib.contextmanager
def adb_server(home: Path) -> Iterator[dict[str, str]]:
    """Have an adb server of one's own, that sees no devices but those it is told to connect to.

    Args:
        home: folder for its keys.

    Yields:
        The environment in which ``adb`` uses it.
    """
    if reason := cannot_emulate():
        pytest.skip(reason)
    home.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("ADB_", "ANDROID_"))}
    own = {
        "HOME": str(home),
        "TMPDIR": str(home),  # its log
        "ANDROID_ADB_SERVER_PORT": port,
        "ADB_VENDOR_KEYS": "",
        "ADB_USB": "0",
        "ADB_EMU": "0",
        "ADB_MDNS": "0",
        "ADB_LOCAL_TRANSPORT_MAX_PORT": "0",
    }
    environment = outside | own
    server = subprocess.Popen(
        ["adb", "nodaemon", "server"],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for_port(int(port), server)
        yield environment
    finally:
        with contextlib.suppress(OSError):
            _answer_to(environment, "host:kill")  # which may be one that a client started after ours had ended
        server.kill()
        server.wait()


def connect(environment: Mapping[str, str], device: EmulatedDevice, state: str = "device") -> str:
    """Connect adb to a device until it is listed in a state, and give the device's address.

    Raises:
        TimeoutError: where that does not come.
    """
    end = time.monotonic() + _CLIENT_S
    while time.monotonic() < end:
        # The answer is not waited for: with a device that does not answer, it takes ten seconds.
        with _asked(environment, f"host:connect:{device.address}"):
            again = min(end, time.monotonic() + _AGAIN_S)
            while time.monotonic() < again:
                if states(environment).get(device.address) == state:
                    return device.address
                time.sleep(_POLL_S)
    raise TimeoutError(f"expected {device.address} to become {state}, got {states(environment)}")


def disconnect(environment: Mapping[str, str], device: EmulatedDevice) -> None:
    """Have adb forget a device."""
    _answer_to(environment, f"host:disconnect:{device.address}")


def states(environment: Mapping[str, str]) -> dict[str, str]:
    """Give the state of each device that ``adb devices`` lists."""
    lines = _answer_to(environment, "host:devices").splitlines()
    return dict(line.split("\t", 1) for line in lines)


def _asked(environment: Mapping[str, str], request: str) -> socket.socket:
    """Ask the adb server as its client does, without a process (AOSP, packages/modules/adb: OVERVIEW.TXT)."""
    server = socket.create_connection(("127.0.0.1", int(environment["ANDROID_ADB_SERVER_PORT"])), _CLIENT_S)
    server.sendall(f"{len(request):04x}{request}".encode())
    return server


def _answer_to(environment: Mapping[str, str], request: str) -> str:
    with _asked(environment, request) as server, server.makefile("rb") as answer:
        return answer.read()[8:].decode()  # behind its status and its length


def _wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _CLIENT_S
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(_POLL_S)
    pytest.fail(f"adb server did not start: exit code {server.poll()}")
