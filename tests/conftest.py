"""What the tests share: settings, real audio where this machine has it, and a small system exported for real."""

import atexit
import contextlib
import csv
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from hypothesis import settings
from labelled import install_backbone, table, write_sounds

from dslite.audio.load import synthetic_chunk
from dslite.recipe import ChunkSpec, FrontendSpec, HeadSpec, Recipe
from dslite.records import Artifact, Backbone, Options, Part
from dslite.registry import registry

# No deadline: the first call into TensorFlow or librosa takes seconds, and the machines are shared.
settings.register_profile("dslite", deadline=None)
settings.load_profile("dslite")

# No test may use, fill or clear the cache of whoever runs the tests; commands started by tests inherit this.
for _name in ("DSLITE_DEBUG", "DSLITE_DISABLE", "DSLITE_ANDROID"):
    os.environ.pop(_name, None)
os.environ["DSLITE_CACHE"] = tempfile.mkdtemp(prefix="dslite-test-cache-")
atexit.register(shutil.rmtree, os.environ["DSLITE_CACHE"], ignore_errors=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("longest") is None)


_SETS = ("emodb", "fsdd", "esc10")
_FILES_PER_SET = 7


@pytest.fixture(scope="session")
def data_dir() -> Path:
    named = os.environ.get("DSLITE_TEST_DATA")
    if not named:
        pytest.skip("DSLITE_TEST_DATA is not set: it names the folder with real audio and weights")
    folder = Path(named)
    if not (folder / "audio").is_dir():
        pytest.fail(f"DSLITE_TEST_DATA={named}: expected a folder with a folder 'audio' in it")
    return folder


@pytest.fixture(scope="session")
def real_audio(data_dir: Path) -> list[Path]:
    """Of each set its shortest file, its longest, and five between: three sample rates, two containers."""
    paths: list[Path] = []
    for name in _SETS:
        folder = data_dir / "audio" / name
        rows = sorted(csv_rows(folder / "manifest.csv"), key=lambda row: (float(row["seconds"]), row["file"]))
        picks = np.linspace(0, len(rows) - 1, _FILES_PER_SET).round().astype(int)
        paths += [folder / rows[i]["file"] for i in picks]
    return paths


@dataclass(frozen=True)
class SmallSystem:
    """A system of two convolutions, exported for real: what the reference path does, in a second."""

    cnn: Any
    recipe: Recipe
    files: dict[tuple[str, str], Artifact]  # by part and exporter

    def path(self, part: str, exporter: str) -> Path:
        return Path(self.files[part, exporter].path)


def small_backbone() -> Backbone:
    def build(input_shape: tuple[int, int, int], weights: str | None, options: Options) -> Any:
        from dslite.model.keras import keras

        image = keras.Input(input_shape)
        x = keras.layers.Conv2D(8, 3, strides=2, use_bias=False)(image)
        x = keras.layers.BatchNormalization()(x)
        x = keras.layers.DepthwiseConv2D(3, strides=2, activation="relu")(x)
        return keras.Model(image, x)

    return Backbone("small", build, "torch", 8, 16, "Apache-2.0", "tests")


@pytest.fixture(scope="session")
def small_system(tmp_path_factory: pytest.TempPathFactory) -> SmallSystem:
    from dslite.deploy.export import Provenance, export
    from dslite.model.assembly import build_cnn, build_part
    from dslite.model.keras import keras

    folder = tmp_path_factory.mktemp("small")
    recipe = Recipe(ChunkSpec(length_s=1.0), FrontendSpec(size_px=64), HeadSpec(n_hidden=16))
    keras.utils.set_random_seed(1)
    cnn = build_cnn(small_backbone(), {}, 64, recipe.head, 3, None)
    files: dict[tuple[str, str], Artifact] = {}
    parts: tuple[Part, ...] = ("whole", "frontend", "cnn")
    for part in parts:
        for name in ("tflite-float32", "hdf5", "savedmodel"):
            exporter = registry().get("exporters", name)
            path = folder / f"{part}{exporter.suffix}"
            provenance = Provenance("small", "none", part, recipe, ("a", "b", "c"), name)
            files[part, name] = export(build_part(part, recipe, cnn), exporter, {}, path, provenance)
    return SmallSystem(cnn, recipe, files)


HEEDS_SIGINT = (
    sys.executable,
    "-c",
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from dslite.cli import main; main()",
)
"""The command, for tests that interrupt it: what a shell starts in the background may be made to ignore that."""


def run_dslite(
    *words: object, cwd: Path | None = None, environment: dict[str, str] | None = None, timeout: float = 300
) -> subprocess.CompletedProcess[str]:
    """Run the real command in a process of its own, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "dslite", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        timeout=timeout,
        check=False,
    )


Environment = Mapping[str, str | None]


@contextlib.contextmanager
def plugins_seen(environment: Environment) -> Iterator[None]:
    """Let this process see the plugins that a process would see which starts in this environment, and no others after.

    Modules and entry points in the folders of its PYTHONPATH; DSLITE_DISABLE is read when plugins are loaded.
    """
    folders = [folder for folder in (environment.get("PYTHONPATH") or "").split(os.pathsep) if folder]
    if not folders and "DSLITE_DISABLE" not in environment:
        yield
        return
    path, modules = list(sys.path), set(sys.modules)
    sys.path[:0] = folders
    importlib.invalidate_caches()
    registry.cache_clear()
    try:
        yield
    finally:
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if str(getattr(sys.modules[name], "__file__", None)).startswith(tuple(folders)):
                del sys.modules[name]
        importlib.invalidate_caches()
        registry.cache_clear()


@contextlib.contextmanager
def _tensorflow_as_new() -> Iterator[None]:
    """Let Keras number layers from one, and take back that TensorFlow refuses what is drawn without a seed."""
    if "tf_keras" in sys.modules:
        from dslite.model.keras import keras

        keras.backend.reset_uids()
    try:
        yield
    finally:
        if "tensorflow" in sys.modules:
            from tensorflow.python.framework import config

            config.disable_op_determinism()


def invoke(
    *words: object, cwd: Path | None = None, environment: Environment | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, as the console script does, but for its signal handlers; no terminal.

    Args:
        words: of the command line, behind `dslite`.
        cwd: working folder while it runs.
        environment: variables that are set while it runs, or unset where None; plugins on its PYTHONPATH are seen.
            Anything else that is read when a process starts needs `run_dslite`.
    """
    from dslite import cli

    arguments = [str(word) for word in words]
    with ExitStack() as stack:
        if cwd is not None:
            stack.enter_context(contextlib.chdir(cwd))
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setattr(sys, "argv", ["dslite", *arguments])
        patch.setattr(sys.modules["__main__"], "__package__", None)  # else click says `python -m pytest.dslite`
        out, err, _ = stack.enter_context(CliRunner().isolation(env=environment))
        stack.enter_context(plugins_seen(environment or {}))
        stack.enter_context(_tensorflow_as_new())
        try:
            code = cli._run()
        except SystemExit as end:
            code = end.code
        sys.stdout.flush()
        sys.stderr.flush()
    return subprocess.CompletedProcess(arguments, int(code or 0), out.getvalue().decode(), err.getvalue().decode())


def said(done: "subprocess.CompletedProcess[str]", errors: str | None = "") -> str:
    """Give what a command wrote that succeeded, with no more on standard error than this; None: with anything."""
    assert done.returncode == 0, done.stderr
    assert errors is None or done.stderr == errors
    return done.stdout


def told_json(*words: object, environment: Environment | None = None) -> Any:
    """Give what a command without complaint tells with `--json`."""
    return json.loads(said(invoke(*words, "--json", environment=environment)))


def assert_refused(done: "subprocess.CompletedProcess[str]", *facts: str, code: int = 2) -> None:
    """A command that was refused says so in one line on standard error, with these facts; notes may stand before it."""
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    (line,) = [line for line in done.stderr.splitlines() if not line.startswith("note: ")]
    assert line.startswith("error: ")
    assert [fact for fact in facts if fact not in line] == [], line


@contextlib.contextmanager
def file_size_limited(n_bytes: int) -> Iterator[None]:
    """Let writes beyond so many bytes of a file fail: as on a full disk, on every machine, and without one to fill."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def csv_rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def dslite_command() -> Callable[..., subprocess.CompletedProcess[str]]:
    return run_dslite


@pytest.fixture(scope="session")
def tone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2.5 s of sound, alone in its folder."""
    path = tmp_path_factory.mktemp("a sound") / "tone.wav"
    soundfile.write(path, synthetic_chunk(40_000, 16_000), 16_000, subtype="FLOAT")
    return path


@pytest.fixture(scope="session")
def foreign(small_system: SmallSystem, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .tflite file without a manifest."""
    path = tmp_path_factory.mktemp("foreign") / "foreign.tflite"
    shutil.copy(small_system.path("cnn", "tflite-float32"), path)
    return path


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment for commands, with the backbone `lab` of two layers as a plugin."""
    return install_backbone(tmp_path_factory.mktemp("site"))


@pytest.fixture(scope="module")
def lab(site: dict[str, str]) -> Iterator[None]:
    """Let the backbone `lab` be seen by the tests of a module, and by the processes that they start."""
    with pytest.MonkeyPatch.context() as patch, plugins_seen(site):
        patch.setenv("PYTHONPATH", site["PYTHONPATH"])
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of labelled sounds, for tables by `labelled.table`."""
    return write_sounds(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def labels_csv(data: Path) -> Path:
    """The table of all of them."""
    return table(data, "labels.csv")
