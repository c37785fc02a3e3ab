import contextlib
import csv
import dataclasses
import importlib
import os
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import click
import pytest
from conftest import SmallSystem, csv_rows, invoke
from emulated_device import EmulatedDevice, adb_server, cannot_emulate, connect
from runner_builds import android_files

from dslite import hookspecs, testing
from dslite.cli import cli
from dslite.loading import KINDS
from dslite.records import PluginRecord

ROOT = Path(__file__).parent.parent


def _readme() -> str:
    return (ROOT / "README.md").read_text(encoding="utf-8")


def _commands() -> list[str]:
    return re.findall(r"^    (?:eval \"\$\()?(dslite (?:'[^'\n]*'|[^\n>)'])+)", _readme(), re.MULTILINE)


def test_the_readme_shows_every_command_but_none_that_is_not_there() -> None:
    shown = {shlex.split(line)[1] for line in _commands()}
    context = click.Context(cli)
    assert shown == set(cli.list_commands(context))


@pytest.mark.parametrize("line", _commands())
def test_every_command_line_of_the_readme_is_understood(line: str) -> None:
    _, name, *words = shlex.split(line)
    command = cli.get_command(click.Context(cli), name)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        command = command.get_command(click.Context(command), name)
    assert command is not None
    command.make_context(name, words, resilient_parsing=False).close()


@pytest.mark.checkout
def test_the_readme_opens_with_the_two_commands_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    shown = re.findall(r"^    make ([a-z-]+)", _readme(), re.MULTILINE)
    assert shown[:2] == ["bench", "test"]
    assert set(shown) <= set(targets)


@pytest.mark.checkout
def test_every_python_file_and_folder_of_the_core_stands_in_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    names = {p.stem for p in (ROOT / "dslite").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    tree = text.split("## Folders")[1].split("## Layers")[0]
    first_words = {word for line in tree.splitlines() for word in re.split(r"[ /]+", line[6:30].strip())}
    assert names - {"__init__", "__main__"} - first_words == set()


def _section(hook: str) -> str:
    """What stands under the heading of a hook, up to the next heading."""
    return _readme().split(f"\n### {hook}\n")[1].split("\n#")[0]


HOOKS = [name for name in vars(hookspecs) if name.startswith("dslite_")]


def test_every_hook_has_a_heading_and_an_example() -> None:
    assert [f"dslite_{kind}" for kind in KINDS] == HOOKS
    assert re.findall(r"^### (dslite_\w+)$", _readme(), re.MULTILINE) == HOOKS
    assert re.findall(r"^    def (dslite_\w+)\(\):", _readme(), re.MULTILINE) == HOOKS  # an example in each


@pytest.mark.parametrize("record", get_args(PluginRecord), ids=lambda r: r.__name__)
def test_the_signatures_of_the_readme_are_those_of_the_records(record: Any) -> None:
    functions = {name: hint for name, hint in get_type_hints(record).items() if get_origin(hint) is Callable}
    text = _section(f"dslite_{record.__name__.lower()}s")
    assert functions
    for name, hint in functions.items():
        (signature,) = re.findall(rf"`{record.__name__}\.({name}\(.*?\) -> .*?)`", text)
        documented = " ".join(str(record.__doc__).split())
        assert f"``{signature}``" in documented
        arguments = signature.split("(")[1].split(")")[0]
        assert len([a for a in arguments.split(", ") if a]) == len(get_args(hint)[0])


@pytest.mark.parametrize("record", get_args(PluginRecord), ids=lambda r: r.__name__)
def test_the_readme_names_every_field_of_a_record(record: Any) -> None:
    common = _readme().split("## Plugins")[1].split("###")[0]
    text = common + _section(f"dslite_{record.__name__.lower()}s")
    assert [f.name for f in dataclasses.fields(record) if not re.search(rf"\b{f.name}\b", text)] == []


def _example(hook: str) -> str:
    block = _section(hook).split("Example:\n")[1]
    return "\n".join(line.removeprefix("    ") for line in block.splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("hook", HOOKS)
def test_the_example_of_every_hook_keeps_the_contract(
    hook: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = f"example_of_{hook}"
    (tmp_path / f"{module}.py").write_text(_example(hook), encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)  # for its child processes
    (record,) = getattr(importlib.import_module(module), hook)()
    check = getattr(testing, f"check_{hook.removeprefix('dslite_').removesuffix('s')}")
    check(record)


# -- the README's commands, one by one --------------------------------------------------------------------


def _singly() -> list[str]:
    """Give the command lines that need nothing but what `ready` has."""
    needs_more = {"devices", "--backbone", "labels.csv", "run", "final", "final.tflite", "table5.json", "android"}
    lines = re.findall(r"^    (?:eval \"\$\()?(dslite [^\n)]*)", _readme(), re.MULTILINE)
    return [line for line in lines if not needs_more & {*re.split(r"[ ,:]", line)}]


@pytest.fixture(scope="module")
def ready(small_system: SmallSystem, tone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a recording, two exported files, reports of both, and a recipe."""
    folder = tmp_path_factory.mktemp("ready")
    shutil.copy(tone, folder / "recording.wav")
    source = small_system.path("whole", "tflite-float32")
    for name in ("voice.tflite", "small.tflite"):
        shutil.copy(source, folder / name)
        shutil.copy(f"{source}.json", folder / f"{name}.json")
    files = ("voice.tflite", "small.tflite", "--interleave")
    done = invoke("bench", *files, "--runs", 3, "--min-seconds", 0, "--no-memory", "-o", "both.json", cwd=folder)
    assert done.returncode == 0, done.stderr
    for name in ("before.json", "after.json"):
        shutil.copy(folder / "both.json", folder / name)
    (folder / "my.toml").write_text(invoke("recipe", "show", "ccs").stdout, encoding="utf-8")
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("line", _singly())
def test_a_command_of_the_readme_works(line: str, ready: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(ready, tmp_path / "ready")
    words = shlex.split(line.partition(">" if "--fail-if" not in line else "\n")[0])[1:]
    wanted = {words[i + 1] for i, word in enumerate(words) if word == "-o"}
    for name in wanted:
        (folder / name).unlink(missing_ok=True)
    done = invoke(*words, cwd=folder, environment={"DSLITE_CACHE": str(tmp_path / "cache")})
    assert done.returncode == 0 or _is_blind(line, done), done.stderr
    assert wanted <= {path.name for path in folder.iterdir()}


def _is_blind(line: str, done: "subprocess.CompletedProcess[str]") -> bool:
    """Whether a limit could not be judged, which depends on what else the machine does; by nothing else it may fail."""
    return "--fail-if" in line and done.returncode == 2 and "no row could be judged" in done.stderr


# -- the README, run from top to bottom --------------------------------------------------------------------

IMAGENET = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"
"""What Keras calls the file that the README's command with ImageNet weights asks for."""


def _write_labels(table: Path, folder: Path) -> None:
    """A table of three classes, eight files of each, and the files in a folder ``audio`` beside it."""
    rows = csv_rows(folder / "manifest.csv")
    chosen = [
        row
        for label in ("dog_bark", "rain", "rooster")
        for split, n in (("train", 4), ("devel", 2), ("test", 2))
        for row in [row for row in rows if (row["label"], row["split"]) == (label, split)][:n]
    ]
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "label", "speaker", "split"])
        writer.writerows([f"audio/{row['file']}", row["label"], row["speaker"], row["split"]] for row in chosen)
    for row in chosen:
        place = table.parent / "audio" / row["file"]
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / row["file"], place)


@pytest.mark.nightly
@pytest.mark.longest
@pytest.mark.timeout(3600)
@pytest.mark.checkout
@pytest.mark.data
def test_the_commands_of_the_readme_work_in_order(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, tone: Path, data_dir: Path
) -> None:
    shutil.copy(tone, tmp_path / "recording.wav")
    mirror = tmp_path / "mirror" / "models"  # for there may be no network
    mirror.mkdir(parents=True)
    weights = data_dir / "weights" / "imagenet_keras" / "mobilenet_v2_1.0_224_notop_dequantised.h5"
    shutil.copy(weights, mirror / IMAGENET)
    _write_labels(tmp_path / "labels.csv", data_dir / "audio" / "esc10")
    site = tmp_path / "site"
    # As in a terminal with the environment active, but what is installed goes into a folder of this test's.
    path = f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYTHONPATH": str(site), "KERAS_HOME": str(mirror.parent)}
    environment["DSLITE_CACHE"] = str(tmp_path / "cache")
    pip = f"{shlex.quote(sys.executable)} -m pip install --quiet --no-deps --target {shlex.quote(str(site))}"
    lines = re.findall(r"^    ((?:eval|dslite|pip install|pytest) [^\n]*)$", _readme(), re.MULTILINE)
    assert len(lines) > 10
    with _a_phone(tmp_path, tmp_path_factory) as phone:
        _run(lines if phone else [line for line in lines if "android" not in line], tmp_path, environment | phone, pip)
    assert {"voice.tflite", "predictions.csv", "picture.png", "report.json", "features.csv", "confusion.png"} <= {
        p.name for p in tmp_path.iterdir()
    }


@contextlib.contextmanager
def _a_phone(folder: Path, factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """An emulated phone, and what its owner has built for it; nothing where there is no adb, or no compiler."""
    if cannot_emulate() or not shutil.which("cmake"):
        yield {}
        return
    with adb_server(folder / "adb") as server, EmulatedDevice(folder / "phone") as device:
        connect(server, device)
        own = {name: value for name, value in server.items() if name.startswith(("ADB_", "ANDROID_"))}
        yield own | {"DSLITE_ANDROID": str(android_files(factory))}
        assert list(device.folder.iterdir()) == []


def _run(lines: list[str], folder: Path, environment: dict[str, str], pip: str) -> None:
    for line in lines:
        done = subprocess.run(
            ["bash", "-c", re.sub(r"^pip install -e '(\S+)\[test\]'$", rf"{pip} \1", line)],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == 0 or _is_blind(line, done), f"{line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
