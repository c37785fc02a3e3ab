"""What `dslite plugins new` writes installs, works, passes its own tests, and is found."""

import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from conftest import assert_refused, invoke, run_dslite, said

from dslite import files, scaffold
from dslite.errors import SpecError, WriteError
from dslite.registry import registry
from dslite.scaffold import KINDS, Kind, Names, names, write

RECORDS = {kind: "my-lab" if kind in ("exporter", "target") else "my_lab" for kind in KINDS}
FILES = {"pyproject.toml", "README.md", "dslite_my_lab.py", "tests/test_dslite_my_lab.py"}


def _written(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in files.files_in(folder)}


def _on_path(folder: Path) -> dict[str, str]:
    """Make a distribution found without pip: its entry points, from its pyproject.toml, and its folder on the path."""
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    info = folder.parent / "site" / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {module}" for name, module in project["entry-points"]["dslite"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[dslite]", *points]) + "\n")
    return {"PYTHONPATH": f"{folder}{os.pathsep}{info.parent}"}


def _run_python(
    module: str, *words: str, cwd: Path | None = None, environment: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", module, *words]
    own = os.environ | (environment or {})
    return subprocess.run(command, cwd=cwd, env=own, capture_output=True, text=True, check=False)


@pytest.fixture(params=KINDS)
def plugin(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Kind, Path]:
    """A plugin of each kind, written by the real command."""
    kind: Kind = request.param
    shown = said(invoke("plugins", "new", "dslite-my-lab", "--kind", kind, cwd=tmp_path))
    assert [line.strip() for line in shown.splitlines()] == [
        "wrote dslite-my-lab; next:",
        "",
        "pip install -e './dslite-my-lab[test]'",
        "pytest ./dslite-my-lab",
        scaffold.use(kind, RECORDS[kind]),
    ]
    return kind, tmp_path / "dslite-my-lab"


def test_a_plugin_is_complete_named_throughout_and_listed(plugin: tuple[Kind, Path]) -> None:
    kind, folder = plugin
    assert _written(folder) == FILES
    assert list(folder.parent.iterdir()) == [folder]
    for path in files.files_in(folder):
        text = path.read_text(encoding="utf-8")
        assert not any(left in text for left in ("$", "scaffold", f"new_{kind}", f"new-{kind}")), path
    listed = run_dslite("list", f"{kind}s", "--json", environment=_on_path(folder))
    found = {record["name"]: record["plugin"] for record in json.loads(listed.stdout)}
    assert found[RECORDS[kind]] == "dslite-my-lab"


@pytest.mark.slow
def test_a_plugin_passes_its_own_tests(plugin: tuple[Kind, Path]) -> None:
    _, folder = plugin
    done = _run_python("pytest", "-q", "-p", "no:cacheprovider", cwd=folder, environment=_on_path(folder))
    assert done.returncode == 0, done.stdout[-3000:]
    assert "passed" in done.stdout
    assert "skipped" not in done.stdout


def test_a_plugins_tests_fail_where_it_is_not_installed(tmp_path: Path) -> None:
    folder = tmp_path / "plugin"
    write(names("my-lab", "augmenter"), "augmenter", folder)
    words = ("-q", "-p", "no:cacheprovider", "-k", "is_found")
    done = _run_python("pytest", *words, cwd=folder, environment={"PYTHONPATH": str(folder)})
    assert done.returncode == 1
    assert "no augmenter is named 'my_lab'" in done.stdout


@pytest.mark.slow
def test_a_backbone_is_measured_by_the_next_command(tmp_path: Path) -> None:
    assert invoke("plugins", "new", "tinynet", "--kind", "backbone", cwd=tmp_path).returncode == 0
    words = (*scaffold.use("backbone", "tinynet:width=8").split()[1:], "--exporter", "tflite-float32", "--part", "cnn")
    quick = ("--runs", 3, "--min-seconds", 0, "--warmup-seconds", 0, "--no-memory", "--size", 64, "--json")
    done = run_dslite(*words, *quick, cwd=tmp_path, environment=_on_path(tmp_path / "tinynet"))
    assert done.returncode == 0, done.stderr
    (run,) = json.loads(done.stdout)["runs"]
    assert (run["artifact"]["backbone"], run["error"]) == ("tinynet:width=8", None)
    assert "latency" in {m["metric"] for m in run["measurements"]}


# Measures the file argv[1] with the inputs argv[2] for ten minutes, by a new target.
MEASURE = """
import sys
from pathlib import Path
import dslite_my_lab
from dslite.measure.bench import describe_file
from dslite.records import Plan

plan = Plan(1, warmup_s=0, runs=1, min_s=600, memory=False, timeout_s=600, input_path=sys.argv[2], input="zeros")
(device,) = dslite_my_lab.devices()
artifact, _ = describe_file(Path(sys.argv[1]))
try:
    dslite_my_lab.run(artifact, device, plan, {}, lambda *told: print(*told, flush=True))
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("killed", ["parent", "child"])
def test_a_targets_child_ends_with_its_parent_which_outlives_it(tmp_path: Path, foreign: Path, killed: str) -> None:
    write(names("dslite-my-lab", "target"), "target", tmp_path / "plugin")
    np.save(tmp_path / "inputs.npy", np.zeros((1, 1, 64, 64, 3), np.float32))
    command = [sys.executable, "-c", MEASURE, foreign, tmp_path / "inputs.npy"]
    path = f"{tmp_path / 'plugin'}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    environment = os.environ | {"PYTHONPATH": path}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == "time: starting 0.0\n"
        (child,) = psutil.Process(parent.pid).children()
        if killed == "parent":
            parent.kill()
        else:
            child.send_signal(signal.SIGSEGV)
        rest = parent.stdout.read()
    _, alive = psutil.wait_procs([child], timeout=60)
    assert alive == []
    if killed == "child":
        assert "MeasurementError time: its process crashed with SIGSEGV" in rest


@pytest.mark.slow
@pytest.mark.checkout
def test_a_plugin_installs_for_real(tmp_path: Path) -> None:
    write(names("dslite-my-lab", "target"), "target", tmp_path / "source")
    site = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--target"]
    subprocess.run([*pip, site, tmp_path / "source"], check=True, capture_output=True, timeout=300)
    assert {path.name for path in site.iterdir()} - {"__pycache__"} == {
        "dslite_my_lab.py",
        "dslite_my_lab-0.1.0.dist-info",
    }
    listed = run_dslite("plugins", "--json", environment={"PYTHONPATH": str(site)})
    (found,) = [p for p in json.loads(listed.stdout) if p["name"] == "dslite-my-lab"]
    assert (found["distribution"], found["error"]) == ("dslite-my-lab 0.1.0", None)
    assert found["provides"] == {"targets": ["my-lab"]}


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_passes_ruff_as_it_comes_with_names_of_any_length(tmp_path: Path, kind: Kind) -> None:
    write(names("dslite-my-lab", kind), kind, tmp_path / "usual")
    for length in (1, 40):
        write(Names("x" * length, "x" * length, "x" * length), kind, tmp_path / str(length))
    for words in (["check"], ["format", "--check"]):
        done = _run_python("ruff", *words, "--no-cache", str(tmp_path))
        assert done.returncode == 0, done.stdout


# -- names ---------------------------------------------------------------------------------------------


def test_names_are_derived_from_the_distribution() -> None:
    assert names("tinynet", "backbone") == Names("tinynet", "tinynet", "tinynet")
    assert names("dslite-tiny-net-2", "backbone") == Names("dslite-tiny-net-2", "dslite_tiny_net_2", "tiny_net_2")
    assert names("dslite-tiny-net-2", "exporter") == Names("dslite-tiny-net-2", "dslite_tiny_net_2", "tiny-net-2")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Tiny Net", "got 'Tiny Net': try tiny-net"),
        ("TinyNet", "got 'TinyNet': try tinynet"),
        ("tiny_net", "got 'tiny_net': try tiny-net"),
        ("tiny--net-", "got 'tiny--net-': try tiny-net"),
        ("2net", "got '2net': try net"),
        ("", "got '': try tinynet"),
        ("../net", "got '../net': try net"),
        ("ü", "got 'ü': try tinynet"),
        ("x" * 41, f"try {'x' * 40}"),
        ("class", "a module cannot be called 'class': try class-backbone"),
        ("conftest", "a module cannot be called 'conftest'"),
        ("dslite", "'dslite' is installed here already"),
        ("dslite-plugins", "'dslite_plugins' is installed here already"),
        ("numpy", "'numpy' is installed here already, and one would hide the other: try numpy-backbone"),
        ("sys", "'sys' is installed here already"),
        ("tf-keras", "'tf_keras' is installed here already"),
    ],
)
def test_a_name_that_would_not_work_is_refused_with_one_that_does(name: str, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        names(name, "backbone")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def _refusal(folder: Path, *words: str) -> str:
    before = _written(folder)
    done = invoke("plugins", "new", *words, cwd=folder)
    assert_refused(done)
    assert _written(folder) == before
    return done.stderr


def test_the_name_of_a_record_that_is_there_is_refused(tmp_path: Path) -> None:
    message = _refusal(tmp_path, "dslite-densenet121", "--kind", "backbone")
    assert "backbone 'densenet121' is taken by plugin 'keras-applications': try my-dslite-densenet121" in message
    assert "host-litert" in registry().names("targets")
    message = _refusal(tmp_path, "host-litert", "--kind", "target")
    assert "target 'host-litert' is taken by plugin 'host'" in message


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tinynet").mkdir()
    (tmp_path / "tinynet" / "mine.txt").touch()
    message = _refusal(tmp_path, "tinynet", "--kind", "backbone")
    assert "tinynet exists already: name another folder with --output" in message
    shown = said(invoke("plugins", "new", "tinynet", "--kind", "backbone", "-o", "other", cwd=tmp_path))
    assert "pytest ./other" in shown
    assert _written(tmp_path / "other") == {"pyproject.toml", "README.md", "tinynet.py", "tests/test_tinynet.py"}


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    real, written = Path.write_text, list[str]()

    def fail_at_the_third(path: Path, *arguments: Any, **keywords: Any) -> int:
        written.append(path.name)
        if len(written) == 3:
            raise error
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "write_text", fail_at_the_third)
    with pytest.raises(WriteError if isinstance(error, OSError) else KeyboardInterrupt):
        write(names("tinynet", "backbone"), "backbone", tmp_path / "tinynet")
    assert len(written) == 3
    assert list(tmp_path.iterdir()) == []
