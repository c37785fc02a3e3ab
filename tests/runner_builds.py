"""dslite's runner for devices, built for the tests, and the runtimes that it is tested with."""

import importlib.util
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "device" / "runner"
CROSS = SOURCE / "aarch64-linux-gnu.cmake"
_TIMEOUT_S = 300.0


def build_runner(folder: Path, *definitions: str) -> Path:
    """Build the runner with CMake, and give the program.

    Args:
        folder: to build in.
        definitions: for CMake, such as ``DSLITE_SANITIZE=ON``.

    Raises:
        RuntimeError: where it does not build, or not without a warning.
    """
    configure = ["cmake", "-S", SOURCE, "-B", folder, *(f"-D{each}" for each in definitions)]
    for command in (configure, ["cmake", "--build", folder]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        if done.returncode or "warning:" in done.stderr:
            raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return folder / "dslite_runner"


def built_runner(factory: pytest.TempPathFactory, *definitions: str) -> Path:
    """Give the runner, built once a session; skip where this machine cannot build it."""
    compiler = "aarch64-linux-gnu-gcc" if any(str(CROSS) in each for each in definitions) else "cc"
    for tool in ("cmake", compiler):
        if not shutil.which(tool):
            pytest.skip(f"no {tool} on this machine: the runner cannot be built")
    if definitions not in _built:
        _built[definitions] = build_runner(factory.mktemp("runner"), *definitions)
    return _built[definitions]


_built: dict[tuple[str, ...], Path] = {}
"""Programs of this process, by what defines them."""


def android_files(factory: pytest.TempPathFactory) -> Path:
    """Give a folder with what the owner of a phone has built and downloaded, for the ABI of the emulated one."""
    folder = factory.mktemp("android")
    (folder / "x86_64").mkdir()
    shutil.copy(built_runner(factory), folder / "x86_64/dslite_runner")
    shutil.copy(litert_library(), folder / "x86_64/libLiteRt.so")
    return folder


def litert_library() -> Path:
    """Give the library with LiteRT's C API that the package ai-edge-litert brings along."""
    return _library("ai_edge_litert", "libLiteRt.so")


def tflite_library() -> Path:
    """Give the library with TensorFlow Lite's C API that the package pymicro-wakeword brings along."""
    return _library("pymicro_wakeword", "lib/libtensorflowlite_c.so")


def _library(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)  # without importing it
    path = Path(spec.origin).parent / name if spec and spec.origin else None
    if path is None or not path.exists():
        pytest.skip(f"no {name}: the package {package} is not installed, or has another one for this system")
    return path


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of the runner ended.

    Attributes:
        code: exit code, or minus the number of a signal.
        document: its result; None where there is none.
        out: standard output.
        err: standard error.
    """

    code: int
    document: dict[str, Any] | None
    out: str
    err: str

    @property
    def found(self) -> dict[str, Any]:
        """The result, which must be there."""
        assert self.document is not None, f"no result, exit code {self.code}: {self.err}"
        return self.document


def run_runner(
    program: Path | list[str],
    result: Path,
    *words: str,
    timeout_s: float = 60.0,
    **arguments: object,
) -> Ran:
    """Run the runner once.

    Args:
        program: the program, or the words that start it.
        result: where its result goes.
        words: further arguments as they are.
        timeout_s: interrupted after so many seconds.
        arguments: by name, underscores for hyphens.
    """
    result.unlink(missing_ok=True)
    start = [str(program)] if isinstance(program, Path) else program
    named = [f"--{name.replace('_', '-')}={value}" for name, value in arguments.items()]
    with subprocess.Popen(
        [*start, f"--result={result}", *named, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            out, err = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.terminate()
            out, err = process.communicate()
    document = json.loads(result.read_text(encoding="utf-8")) if result.exists() else None
    return Ran(process.returncode, document, out.decode(), err.decode(errors="replace"))
