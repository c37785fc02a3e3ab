"""What runs on an Android device: dslite's runner and the TFLite runtime it loads, or Google's ``benchmark_model``.

Both are built or downloaded by the user, once; `device/README.md` says how. They are looked for, by ABI, in
``$DSLITE_ANDROID/ABI``, or where this system keeps data of users: ``dslite/android/ABI``.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dslite.errors import SpecError

RUNNER = "dslite_runner"
RUNTIMES = ("libLiteRt.so", "libtensorflowlite_jni.so", "libtensorflowlite_c.so")
"""As the LiteRT and TensorFlow Lite archives for Android name them; the first that is there is taken."""
_ELF_MACHINES = {3: "x86", 40: "armeabi-v7a", 62: "x86_64", 183: "arm64-v8a"}
"""``e_machine`` of the ELF header, and Android's name for it."""


@dataclass(frozen=True, slots=True)
class Tools:
    """Files for one ABI.

    Attributes:
        abi: they are for.
        runner: the program.
        runtime: the library it loads, or None where the runner is Google's.
    """

    abi: str
    runner: Path
    runtime: Path | None

    @property
    def files(self) -> list[Path]:
        """Give the program and, where there is one, the library."""
        return [path for path in (self.runner, self.runtime) if path]


def find(abis: Sequence[str], runner: str = "", runtime: str = "", *, needs_runtime: bool = True) -> Tools:
    """Find runner and runtime for a device that runs some ABIs, the best first; of an empty path, look for one by ABI.

    Raises:
        SpecError: where a path that is named is no program or library for the device, or one is missing: it says what
            to build or download, and where to put it.
    """
    for path in filter(None, (runner, runtime)):
        _check(Path(path), abis)
    missing, others = [], []
    for abi in abis:
        places = [folder / abi for folder in folders()]
        programs = [Path(runner)] if runner else [place / RUNNER for place in places]
        libraries = [Path(runtime)] if runtime else [place / name for place in places for name in RUNTIMES]
        program, library = _first(programs, abi), _first(libraries, abi)
        if program and (library or not needs_runtime):
            return Tools(abi, program, library if needs_runtime else None)
        missing.append((abi, program, library))
        wrong = [*([] if program else programs), *([] if library or not needs_runtime else libraries)]
        others += [path for path in wrong if path.is_file() and elf_abi(path) not in abis]
    if others:
        _check(others[0], abis)
    abi, program, library = missing[0]
    lacking = []
    if not program:
        lacking.append(f"{RUNNER} (build device/runner with the NDK)")
    if not library and needs_runtime:
        lacking.append(f"{RUNTIMES[0]} or {RUNTIMES[1]} (from the LiteRT AAR, jni/{abi})")
    raise SpecError(
        f"for {abi} there is no {' and no '.join(lacking)}: put {'them' if lacking[1:] else 'it'} into "
        f"{folders()[0] / abi}; device/README.md has the commands. Or measure with Google's tool: "
        "--runner benchmark_model --runner-path FILE"
    )


def folders() -> list[Path]:
    """Give the folders that have a folder for each ABI."""
    from platformdirs import user_data_path

    named = os.environ.get("DSLITE_ANDROID")
    return [
        *([Path(named).expanduser().absolute()] if named else []),
        user_data_path("dslite", appauthor=False) / "android",
    ]


def elf_abi(path: Path) -> str | None:
    """Give the ABI of a program or library, by its ELF header; None where it is none, or of another machine."""
    with path.open("rb") as file:
        header = file.read(20)
    if header[:4] != b"\x7fELF" or len(header) < 20:  # noqa: PLR2004 - up to the end of e_machine
        return None
    return _ELF_MACHINES.get(int.from_bytes(header[18:20], "little"))


def _first(paths: Sequence[Path], abi: str) -> Path | None:
    return next((path for path in paths if path.is_file() and elf_abi(path) == abi), None)


def _check(path: Path, abis: Sequence[str]) -> None:
    wanted = f"expected a program or library for {', '.join(abis)}"
    if not path.is_file():
        raise SpecError(f"{path}: {wanted}, got {'a folder' if path.is_dir() else 'no such file'}")
    found = elf_abi(path)
    if found not in abis:
        raise SpecError(f"{path}: {wanted}, got {f'one for {found}' if found else 'something else'}: build it anew")
