"""The emulated device under the real adb client: what the tests of the Android target take for granted."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from emulated_device import EmulatedDevice, Faults, adb_server, connect, states

TIMEOUT_S = 60.0
TMP = "/data/local/tmp"
MEBIBYTE = 1 << 20


class Phone:
    """A connected device, and adb speaking to it."""

    def __init__(self, device: EmulatedDevice, environment: Mapping[str, str]) -> None:
        self.device = device
        self._environment = dict(environment)
        self._open: list[subprocess.Popen[bytes]] = []

    def adb(self, *words: str | Path) -> subprocess.CompletedProcess[bytes]:
        command = ["adb", "-s", self.device.address, *map(str, words)]
        return subprocess.run(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    def shell(self, command: str) -> subprocess.CompletedProcess[bytes]:
        return self.adb("shell", command)

    def start(self, command: str) -> subprocess.Popen[bytes]:
        client = subprocess.Popen(
            ["adb", "-s", self.device.address, "shell", command],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._open.append(client)
        return client

    def plug(self) -> None:
        self.device.plug()
        connect(self._environment, self.device)

    def state(self) -> str | None:
        return states(self._environment).get(self.device.address)

    def end(self) -> None:
        for client in self._open:
            client.kill()
            client.wait()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with adb_server(tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def phone(tmp_path: Path, environment: dict[str, str], request: pytest.FixtureRequest) -> Iterator[Phone]:
    """A phone; of those that are told so, an old one."""
    with EmulatedDevice(tmp_path / "phone", shell_v2=not getattr(request, "param", None)) as device:
        connect(environment, device)
        found = Phone(device, environment)
        yield found
        found.end()


OLD = pytest.mark.parametrize("phone", ["old"], indirect=True)
BOTH = pytest.mark.parametrize("phone", [None, "old"], indirect=True, ids=["new", "old"])


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _random(path: Path, n_bytes: int) -> Path:
    path.write_bytes(os.urandom(n_bytes))
    return path


# -- files --------------------------------------------------------------------------------------------


@BOTH
@pytest.mark.parametrize("n_bytes", [0, 3 * MEBIBYTE + 1])
def test_a_file_comes_back_as_it_went(phone: Phone, n_bytes: int, tmp_path: Path) -> None:
    sent = _random(tmp_path / "sent", n_bytes)
    assert phone.adb("push", sent, f"{TMP}/new/folder/file").returncode == 0
    assert (phone.device.folder / "new/folder/file").read_bytes() == sent.read_bytes()
    assert phone.adb("pull", f"{TMP}/new/folder/file", tmp_path / "back").returncode == 0
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


# -- commands -----------------------------------------------------------------------------------------


@BOTH
def test_exit_code_and_both_outputs_arrive_where_the_device_is_not_old(phone: Phone) -> None:
    done = phone.shell("echo out; echo err >&2; exit 7")
    expected = (7, b"out\n", b"err\n") if phone.device.shell_v2 else (0, b"out\nerr\n", b"")
    assert (done.returncode, done.stdout, done.stderr) == expected


def test_paths_are_the_devices_in_commands_and_in_what_they_print(phone: Phone) -> None:
    phone.device.write("data/local/tmp/a", "")
    said = phone.shell(f"cd {TMP}; ls {TMP}/*; ls -d '/sys/class' /sys; cat /proc/loadavg; ls -d /proc/self/").stdout
    assert said == f"{TMP}/a\n/sys\n/sys/class\n0.40 0.52 0.48 1/1893 21047\n/proc/self/\n".encode()
    missing = phone.shell(f"cat {TMP}/none").stderr
    assert f"{TMP}/none".encode() in missing
    assert str(phone.device.root).encode() not in missing


def test_a_path_torn_between_two_writes_is_mapped(phone: Phone) -> None:
    begin, rest = str(phone.device.root)[:9], str(phone.device.root)[9:]
    said = phone.shell(f"printf %s {begin}; sleep 0.2; echo {rest}/x; printf %s {begin}").stdout
    assert said == f"/x\n{begin}".encode()


# -- faults -------------------------------------------------------------------------------------------


def test_unplugged_in_mid_command(phone: Phone) -> None:
    phone.device.faults = Faults(unplug_when_command_has="sleep 60")
    done = phone.shell("echo begun; sleep 60; echo ended")
    assert done.stdout == b"begun\n"  # and an exit code that tells nothing: 0 or 255, by adb's version
    assert phone.state() != "device"
    phone.plug()
    assert phone.shell("echo sleep 60").stdout == b"sleep 60\n"


def test_a_killed_command_takes_all_its_processes_along(phone: Phone) -> None:
    phone.device.faults = Faults(kill_when_command_has="sleep 60")
    done = phone.shell("echo begun; sleep 60 & sleep 60; echo ended")
    assert (done.returncode, done.stdout) == (128 + signal.SIGKILL, b"begun\n")
    _until(lambda: not phone.device.running())


# -- when the client goes away ------------------------------------------------------------------------


def test_only_the_shell_hears_of_a_client_that_goes_away(phone: Phone) -> None:
    # The child would leave a mark as well, if it were told.
    child = f"sh -c 'trap \"touch {TMP}/child; exit\" HUP; touch {TMP}/begun; while :; do sleep 0.1; done'"
    client = phone.start(f"trap 'touch {TMP}/shell; exit 0' HUP; {child} & wait")
    _until((phone.device.folder / "begun").exists)
    client.kill()
    _until((phone.device.folder / "shell").exists)
    time.sleep(0.3)
    assert not (phone.device.folder / "child").exists()
    assert phone.device.running()


def test_a_shell_that_hears_of_it_can_tidy_up(phone: Phone) -> None:
    begun = phone.device.folder / "run"
    client = phone.start(f"mkdir {TMP}/run; trap 'kill -9 $c; rm -r {TMP}/run; exit 1' HUP; sleep 60 & c=$!; wait $c")
    _until(begun.exists)
    _until(lambda: len(phone.device.running()) > 1)
    client.kill()
    _until(lambda: not begun.exists() and not phone.device.running())


@OLD
def test_an_old_device_tells_nobody(phone: Phone) -> None:
    folder = phone.device.folder
    client = phone.start(f"trap 'touch {TMP}/told' HUP; touch {TMP}/begun; sleep 1; touch {TMP}/ended")
    _until((folder / "begun").exists)
    client.kill()
    _until((folder / "ended").exists)
    assert not (folder / "told").exists()


def test_nothing_runs_when_the_device_is_gone(tmp_path: Path, environment: dict[str, str]) -> None:
    with EmulatedDevice(tmp_path / "phone", shell_v2=False) as device:
        connect(environment, device)
        phone = Phone(device, environment)
        phone.start("trap '' HUP; sleep 60")
        _until(lambda: len(device.running()) > 0)
    phone.end()
    _until(lambda: not device.running())
