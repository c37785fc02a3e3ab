import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import file_size_limited
from hypothesis import given
from hypothesis import strategies as st

from dslite.errors import WriteError
from dslite.files import files_in, remove_half_written, sha256, size_bytes, told_apart, write_text, written_whole


def _tree(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def _write(kind: str, path: Path, text: str) -> None:
    """Write a file, or a folder with a file in it."""
    if kind == "folder":
        path.mkdir()
        path = path / "weights"
    path.write_text(text)


def _state(folder: Path) -> tuple[dict[str, str], list[str]]:
    """Give all that is in a folder, and what lies in it directly, hidden things too."""
    return _tree(folder), sorted(path.name for path in folder.iterdir())


kinds = pytest.mark.parametrize("kind", ["file", "folder"])


@kinds
@pytest.mark.parametrize("old", [None, "old"])
def test_what_is_written_is_there_once_it_is_whole_and_nothing_of_the_old_stays(
    tmp_path: Path, kind: str, old: str | None
) -> None:
    path = tmp_path / "model.savedmodel"
    if old:
        _write(kind, path, old)
        if kind == "folder":
            (path / "extra").write_text("old")
    before = _tree(tmp_path)
    with written_whole(path) as place:
        _write(kind, place, "new")
        assert {name: text for name, text in _tree(tmp_path).items() if not name.startswith(".")} == before
    name = "model.savedmodel/weights" if kind == "folder" else "model.savedmodel"
    assert _state(tmp_path) == ({name: "new"}, ["model.savedmodel"])


@kinds
@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(143)], ids=type)
def test_an_exception_inside_passes_through_and_leaves_the_old_and_no_litter(
    tmp_path: Path, kind: str, error: BaseException
) -> None:
    path = tmp_path / "model"
    _write(kind, path, "old")
    before = _state(tmp_path)

    def half_done() -> None:
        with written_whole(path) as place:
            _write(kind, place, "half")
            raise error

    with pytest.raises(type(error)) as caught:
        half_done()
    assert caught.value is error
    assert _state(tmp_path) == before


@kinds
@pytest.mark.parametrize("written", ["nothing", "the other kind"])
def test_a_block_that_writes_nothing_or_another_kind_leaves_the_old(tmp_path: Path, kind: str, written: str) -> None:
    path = tmp_path / "model"
    _write(kind, path, "precious")
    before = _state(tmp_path)

    def write() -> None:
        with written_whole(path) as place:
            if written != "nothing":
                _write("file" if kind == "folder" else "folder", place, "new")

    with pytest.raises(WriteError, match=r"cannot write .*model"):
        write()
    assert _state(tmp_path) == before


@pytest.mark.parametrize(("place", "number"), [("nowhere", errno.ENOENT), ("file", errno.ENOTDIR)])
def test_a_folder_that_is_none_is_named(tmp_path: Path, place: str, number: int) -> None:
    (tmp_path / "file").write_text("old")
    path = tmp_path / place / "report.json"
    with pytest.raises(WriteError) as caught:
        write_text(path, "new")
    assert str(caught.value) == f"cannot write {path}: {os.strerror(number)}"
    assert _tree(tmp_path) == {"file": "old"}


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    _write("folder", folder, "old")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(folder, os.W_OK):
        pytest.skip("root may write everywhere")
    try:
        with pytest.raises(WriteError, match=os.strerror(errno.EACCES)):
            write_text(folder / "report.json", "new")
        assert _tree(tmp_path) == {"locked/weights": "old"}
    finally:
        folder.chmod(stat.S_IRWXU)


@kinds
@pytest.mark.parametrize("there_before", [False, True])
def test_a_write_that_fails_half_way_says_so_and_leaves_nothing(tmp_path: Path, kind: str, there_before: bool) -> None:
    path = tmp_path / "model"
    if there_before:
        _write(kind, path, "old")
    before = _state(tmp_path)

    def write() -> None:
        with file_size_limited(1000), written_whole(path) as place:
            _write(kind, place, "half")
            (place / "more" if kind == "folder" else place).write_text("x" * 100_000)

    with pytest.raises(WriteError) as caught:
        write()
    assert str(caught.value).startswith(f"cannot write {path}: ")
    assert "full" in str(caught.value)
    assert _state(tmp_path) == before


@pytest.mark.parametrize("name", ["a" * 255, "音" * 85, ".hidden", "with blank"], ids=["long", "wide", "dot", "blank"])
def test_every_name_the_file_system_takes_can_be_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "ü→\n")
    assert (tmp_path / name).read_bytes() == b"\xc3\xbc\xe2\x86\x92\n"  # UTF-8, line ends as they are
    (tmp_path / "usual").write_text("x")
    assert (tmp_path / name).stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_files_are_told_apart_by_no_more_folders_than_it_takes() -> None:
    paths = ["/a/old/m.tflite", "/b/old/m.tflite", "/a/new/m.tflite", "n.tflite", "/a/old/m.tflite", "m.tflite"]
    names = "a/old/m.tflite b/old/m.tflite new/m.tflite n.tflite a/old/m.tflite m.tflite"
    assert told_apart(paths) == names.split()


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), max_size=8))
def test_different_files_have_different_names(paths: list[str]) -> None:
    names = told_apart(paths)
    assert len(set(names)) == len(set(paths))
    assert all(path.endswith(name) for path, name in zip(paths, names, strict=True))


# SHA-256 of b"abc": FIPS 180-2, appendix B.1. Of the folder: computed once, apart from dslite, with
#   hashlib.sha256(b"".join(n + b"\0" + hashlib.sha256(c).hexdigest().encode() for n, c in [
#       (b"a/b", b""), (b"a.txt", b"abc"), (b"c", b"\x00\xff")])).hexdigest()
# "a/b" stands before "a.txt": names are compared folder by folder, not character by character.
_SHA256_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
_SHA256_FOLDER = "b7fe941bca9ac91ca0e2a3ea5330a2ebc430422c1ab0044423cdb432f48f3213"


@pytest.fixture
def hashed(tmp_path: Path) -> Path:
    folder = tmp_path / "hashed"
    (folder / "a").mkdir(parents=True)
    (folder / "c").write_bytes(b"\x00\xff")
    (folder / "a.txt").write_bytes(b"abc")
    (folder / "a" / "b").write_bytes(b"")
    return folder


def test_the_hash_of_a_folder_is_over_names_and_hashes_of_files_in_a_fixed_order(
    hashed: Path,
) -> None:
    assert [p.relative_to(hashed).as_posix() for p in files_in(hashed)] == ["a/b", "a.txt", "c"]
    assert [sha256(hashed / "a.txt"), sha256(hashed)] == [_SHA256_ABC, _SHA256_FOLDER]
    assert [size_bytes(hashed / "a.txt"), size_bytes(hashed)] == [3, 5]


def test_the_hash_of_a_folder_stays_when_it_is_moved_and_changes_with_names_and_contents(hashed: Path) -> None:
    moved = hashed.rename(hashed.with_name("moved"))
    assert sha256(moved) == _SHA256_FOLDER
    (moved / "a.txt").rename(moved / "b.txt")
    renamed = sha256(moved)
    (moved / "b.txt").write_bytes(b"abd")
    changed = sha256(moved)
    assert len({_SHA256_FOLDER, renamed, changed}) == 3


def test_an_interruption_while_a_folder_is_replaced_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "model"
    _write("folder", place, "precious")
    replace_path = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if self.parent.name == "new":
            raise KeyboardInterrupt
        return replace_path(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), written_whole(place) as new:
        new.mkdir()
    assert _state(tmp_path) == ({"model/weights": "precious"}, ["model"])


def test_a_pipe_is_written_into_and_not_replaced(tmp_path: Path) -> None:
    code = "from dslite.files import write_text; write_text('/dev/stdout', 'through the pipe')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "through the pipe"


def test_what_killed_processes_left_half_written_goes_and_all_else_stays(tmp_path: Path) -> None:
    (tmp_path / ".dslite-abc" / "new").mkdir(parents=True)
    (tmp_path / ".dslite-abc" / "new" / "half").write_text("half")
    (tmp_path / "whole").write_text("whole")
    (tmp_path / ".hidden").mkdir()
    remove_half_written(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", "whole"]
