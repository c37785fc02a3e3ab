"""The emulated device under the real adb client: what the tests of the Android target rest on."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from emulated_device import EmulatedDevice, Faults, adb_server, connect, states

TIMEOUT_S = 20.0
TMP = "/data/local/tmp"
MEBIBYTE = 1 << 20


class Phone:
    """A connected device, and adb speaking to it."""

    def __init__(self, device: EmulatedDevice, environment: Mapping[str, str]) -> None:
        self.device = device
        self._environment = dict(environment)
        self._open: list[subprocess.Popen[bytes]] = []

    def adb(self, *words: str | Path, typed: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = ["adb", "-s", self.device.address, *map(str, words)]
        return subprocess.run(
            command, env=self._environment, input=typed, capture_output=True, timeout=TIMEOUT_S, check=False
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


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    with adb_server(tmp_path / "home") as found:
        yield found


@pytest.fixture
def phone(tmp_path: Path, environment: dict[str, str]) -> Iterator[Phone]:
    with EmulatedDevice(tmp_path / "phone") as device:
        connect(environment, device)
        found = Phone(device, environment)
        yield found
        found.end()


@pytest.fixture
def old_phone(tmp_path: Path, environment: dict[str, str]) -> Iterator[Phone]:
    with EmulatedDevice(tmp_path / "old", shell_v2=False) as device:
        connect(environment, device)
        found = Phone(device, environment)
        yield found
        found.end()


def _until(true: Callable[[], object]) -> None:
    end = time.monotonic() + TIMEOUT_S
    while not true():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.02)


def _random(path: Path, n_bytes: int) -> Path:
    path.write_bytes(os.urandom(n_bytes))
    return path


# -- files --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_bytes", [0, 1, 3 * MEBIBYTE + 1])
@pytest.mark.parametrize("which", ["phone", "old_phone"])
def test_a_file_comes_back_as_it_went(which: str, n_bytes: int, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    device: Phone = request.getfixturevalue(which)
    sent = _random(tmp_path / "sent", n_bytes)
    assert device.adb("push", sent, f"{TMP}/new/folder/file").returncode == 0
    assert (device.device.folder / "new/folder/file").read_bytes() == sent.read_bytes()
    assert device.adb("pull", f"{TMP}/new/folder/file", tmp_path / "back").returncode == 0
    assert (tmp_path / "back").read_bytes() == sent.read_bytes()


def test_a_folder_is_listed_and_pulled_whole(phone: Phone, tmp_path: Path) -> None:
    for name in ("one", "inner/two"):
        phone.device.write(f"data/local/tmp/results/{name}", name)
    assert phone.adb("pull", f"{TMP}/results", tmp_path / "back").returncode == 0
    assert (tmp_path / "back/one").read_text() == "one"
    assert (tmp_path / "back/inner/two").read_text() == "inner/two"


def test_a_missing_file_cannot_be_pulled(phone: Phone, tmp_path: Path) -> None:
    done = phone.adb("pull", f"{TMP}/none", tmp_path / "back")
    assert done.returncode != 0
    assert b"No such file" in done.stdout + done.stderr
    assert not (tmp_path / "back").exists()


def test_a_file_cannot_take_the_place_of_a_folder_of_a_file(phone: Phone, tmp_path: Path) -> None:
    phone.device.write("data/local/tmp/file", "")
    done = phone.adb("push", _random(tmp_path / "sent", 300_000), f"{TMP}/file/below")
    assert done.returncode != 0
    assert phone.shell("echo alive").stdout == b"alive\n"


def test_a_pushed_program_keeps_its_mode(phone: Phone, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text("#!/bin/sh\necho ran\n")
    program.chmod(0o755)
    phone.adb("push", program, f"{TMP}/program")
    assert phone.shell(f"{TMP}/program").stdout == b"ran\n"


# -- commands -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exit_code_and_both_outputs_arrive(phone: Phone, code: int) -> None:
    done = phone.shell(f"echo out; echo err >&2; exit {code}")
    assert (done.returncode, done.stdout, done.stderr) == (code, b"out\n", b"err\n")


def test_an_old_device_has_no_exit_code_and_one_output(old_phone: Phone) -> None:
    done = old_phone.shell("echo out; echo err >&2; exit 7")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"out\nerr\n", b"")


@pytest.mark.parametrize("which", ["phone", "old_phone"])
def test_large_output_arrives_whole(which: str, request: pytest.FixtureRequest) -> None:
    device: Phone = request.getfixturevalue(which)
    n_bytes = 5 * MEBIBYTE
    assert device.shell(f"head -c {n_bytes} /dev/zero").stdout == bytes(n_bytes)


def test_a_command_reads_what_is_typed(phone: Phone) -> None:
    typed = os.urandom(300_000)
    assert phone.adb("shell", "cat", typed=typed).stdout == typed


def test_many_commands_in_a_row(phone: Phone) -> None:
    for number in range(60):
        assert phone.shell(f"echo {number}").stdout == f"{number}\n".encode()
    assert phone.device.commands == [f"echo {number}" for number in range(60)]
    assert phone.device.running() == []


def test_commands_side_by_side_do_not_mix(phone: Phone) -> None:
    command = ["adb", "-s", phone.device.address, "shell"]
    clients = [
        subprocess.Popen(
            [*command, f"for i in $(seq 2000); do echo {number}; done"],
            env=phone._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        for number in range(4)
    ]
    for number, client in enumerate(clients):
        assert client.communicate(timeout=TIMEOUT_S)[0] == f"{number}\n".encode() * 2000


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


# -- a phone's own commands ---------------------------------------------------------------------------


def test_properties_are_told_one_or_all(phone: Phone) -> None:
    phone.device.set_property("ro.soc.model", "a=b")
    assert phone.shell("getprop ro.soc.model; getprop none").stdout == b"a=b\n\n"
    said = phone.shell("getprop").stdout.decode().splitlines()
    assert "[ro.soc.model]: [a=b]" in said
    assert "[ro.product.cpu.abi]: [x86_64]" in said
    assert len(said) == len({line.partition("]")[0] for line in said})


def test_services_tell_their_state(phone: Phone) -> None:
    assert b"  level: 80\n" in phone.shell("dumpsys battery").stdout
    phone.device.write("dumpsys/thermalservice", "Thermal Status: 3\n")
    assert phone.shell("dumpsys thermalservice").stdout == b"Thermal Status: 3\n"
    assert phone.shell("dumpsys none").stderr == b"Can't find service: none\n"


def test_settings_are_told(phone: Phone) -> None:
    assert phone.shell("settings get global low_power").stdout == b"null\n"
    phone.device.write("settings/low_power", "1\n")
    assert phone.shell("settings get global low_power").stdout == b"1\n"


def test_fixed_performance_is_from_android_11_on(phone: Phone) -> None:
    mode = "power set-fixed-performance-mode-enabled"
    assert phone.shell(f"cmd {mode} true").returncode == 0
    assert (phone.device.root / "fixed_performance").read_text() == "true\n"
    phone.device.set_property("ro.build.version.sdk", "29")
    done = phone.shell(f"cmd {mode} false")
    assert (done.returncode, done.stdout) == (255, b"Unknown command: set-fixed-performance-mode-enabled\n")
    assert (phone.device.root / "fixed_performance").read_text() == "true\n"
    assert phone.device.calls == [f"cmd {mode} true", f"cmd {mode} false"]


# -- states -------------------------------------------------------------------------------------------


def test_two_devices_are_two(tmp_path: Path, environment: dict[str, str]) -> None:
    with EmulatedDevice(tmp_path / "a", model="A") as a, EmulatedDevice(tmp_path / "b", model="B") as b:
        for device in (a, b):
            connect(environment, device)
        assert states(environment) == {a.address: "device", b.address: "device"}
        for device, model in ((a, b"A\n"), (b, b"B\n")):
            assert Phone(device, environment).shell("getprop ro.product.model").stdout == model
        done = subprocess.run(
            ["adb", "shell", "true"], env=environment, capture_output=True, timeout=TIMEOUT_S, check=False
        )
        assert b"more than one device" in done.stderr


def test_a_device_that_does_not_know_us(tmp_path: Path, environment: dict[str, str]) -> None:
    with EmulatedDevice(tmp_path / "phone", faults=Faults(authorised=False)) as device:
        connect(environment, device, "unauthorized")
        done = Phone(device, environment).shell("true")
        assert done.returncode != 0
        assert b"unauthorized" in done.stderr
        assert device.commands == []


def test_a_device_that_does_not_answer_is_offline(tmp_path: Path, environment: dict[str, str]) -> None:
    with EmulatedDevice(tmp_path / "phone", faults=Faults(answers=False)) as device:
        connect(environment, device, "offline")
        done = Phone(device, environment).shell("true")
        assert done.returncode != 0
        assert b"offline" in done.stderr


def test_a_device_comes_back_when_it_is_plugged_in_again(phone: Phone) -> None:
    phone.device.unplug()
    _until(lambda: phone.state() != "device")
    assert phone.shell("true").returncode != 0
    phone.plug()
    assert phone.shell("echo back").stdout == b"back\n"


# -- faults -------------------------------------------------------------------------------------------


def test_unplugged_in_mid_push(phone: Phone, tmp_path: Path) -> None:
    phone.device.faults = Faults(unplug_after_pushed_bytes=4 * MEBIBYTE)
    sent = _random(tmp_path / "sent", 12 * MEBIBYTE)
    assert phone.adb("push", sent, f"{TMP}/file").returncode != 0
    assert phone.state() != "device"
    there = (phone.device.folder / "file").stat().st_size
    assert 4 * MEBIBYTE <= there < 12 * MEBIBYTE
    phone.plug()
    assert phone.adb("push", sent, f"{TMP}/file").returncode == 0


def test_unplugged_in_mid_command(phone: Phone) -> None:
    phone.device.faults = Faults(unplug_when_command_has="sleep 60")
    done = phone.shell("echo begun; sleep 60; echo ended")
    assert done.stdout == b"begun\n"  # and an exit code that tells nothing: 0 or 255, by adb's version
    assert phone.state() != "device"
    phone.plug()
    assert phone.shell("echo sleep 60").stdout == b"sleep 60\n"


def test_a_full_disk_refuses_a_file_and_keeps_none_of_it(phone: Phone, tmp_path: Path) -> None:
    phone.device.faults = Faults(disk_bytes=5 * MEBIBYTE)
    assert phone.adb("push", _random(tmp_path / "first", 2 * MEBIBYTE), f"{TMP}/first").returncode == 0
    done = phone.adb("push", _random(tmp_path / "second", 9 * MEBIBYTE), f"{TMP}/second")
    assert done.returncode != 0
    assert b"No space left on device" in done.stdout + done.stderr
    assert [path.name for path in phone.device.folder.iterdir()] == ["first"]
    assert phone.adb("push", tmp_path / "first", f"{TMP}/first").returncode == 0, "it takes its own place"


def test_a_corrupted_push_differs_in_one_byte(phone: Phone, tmp_path: Path) -> None:
    phone.device.faults = Faults(corrupt_push=True)
    sent = _random(tmp_path / "sent", 100_000)
    assert phone.adb("push", sent, f"{TMP}/file").returncode == 0
    pairs = zip(sent.read_bytes(), (phone.device.folder / "file").read_bytes(), strict=True)
    assert sum(ours != theirs for ours, theirs in pairs) == 1


def test_a_truncated_pull_looks_like_a_whole_one(phone: Phone, tmp_path: Path) -> None:
    phone.device.faults = Faults(truncate_pull_bytes=70_000)
    phone.device.write("data/local/tmp/file", "x" * 200_000)
    assert phone.adb("pull", f"{TMP}/file", tmp_path / "back").returncode == 0
    assert (tmp_path / "back").read_text() == "x" * 70_000


def test_a_killed_command_takes_all_its_processes_along(phone: Phone) -> None:
    phone.device.faults = Faults(kill_when_command_has="sleep 60")
    done = phone.shell("echo begun; sleep 60 & sleep 60; echo ended")
    assert (done.returncode, done.stdout) == (128 + signal.SIGKILL, b"begun\n")
    _until(lambda: not phone.device.running())


def test_a_killed_program_is_seen_by_its_shell(phone: Phone) -> None:
    phone.device.faults = Faults(kill_when_command_has="sleep 60", kill_spares_shell=True)
    assert phone.shell("sleep 60; echo $?").stdout == b"137\n"


def test_a_command_prints_something_else(phone: Phone) -> None:
    phone.device.faults = Faults(replaced_output={"sha256sum": "100 % 'sense\\n\n"})
    phone.device.write("data/local/tmp/file", "")
    done = phone.shell(f"rm {TMP}/file; sha256sum {TMP}/file")
    assert (done.returncode, done.stdout) == (0, b"100 % 'sense\\n\n")
    assert (phone.device.folder / "file").exists()


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


def test_an_old_device_tells_nobody(old_phone: Phone) -> None:
    folder = old_phone.device.folder
    client = old_phone.start(f"trap 'touch {TMP}/told' HUP; touch {TMP}/begun; sleep 1; touch {TMP}/ended")
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
