import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslite.errors import WriteError
from dslite.files import files_in, remove_half_written, sha256, size_bytes, told_apart, write_text, written_whole


def _tree(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


def _make_folder(path: Path, **contents: str) -> Path:
    path.mkdir()
    for name, text in contents.items():
        (path / name).write_text(text)
    return path


def test_a_new_file_is_there_once_the_block_has_ended_and_not_before(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    with written_whole(path) as place:
        place.write_text("new")
        assert not path.exists()
    assert _tree(tmp_path) == {"report.json": "new"}
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_a_file_is_replaced_only_when_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with written_whole(path) as place:
        place.write_text("ne")
        assert path.read_text() == "old"
        place.write_text("new")
    assert path.read_text() == "new"
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("name", ["model.savedmodel", "replaced"])
def test_a_folder_takes_the_place_of_an_old_one_and_nothing_of_the_old_one_stays(tmp_path: Path, name: str) -> None:
    _make_folder(tmp_path / name, weights="old", extra="old")
    with written_whole(tmp_path / name) as place:
        _make_folder(place, weights="new")
        assert (tmp_path / name / "weights").read_text() == "old"
    assert _tree(tmp_path) == {f"{name}/weights": "new"}
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), SystemExit(143)], ids=type)
def test_an_exception_inside_passes_through_and_leaves_the_old_file_and_no_litter(
    tmp_path: Path, error: BaseException
) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")

    def half_done() -> None:
        with written_whole(path) as place:
            place.write_text("half")
            raise error

    with pytest.raises(type(error)) as caught:
        half_done()
    assert caught.value is error
    assert _tree(tmp_path) == {"report.json": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["report.json"]


def test_an_exception_inside_leaves_the_old_folder_and_no_litter(tmp_path: Path) -> None:
    path = _make_folder(tmp_path / "model.savedmodel", weights="old")

    def half_done() -> None:
        with written_whole(path) as place:
            _make_folder(place, weights="half")
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        half_done()
    assert _tree(tmp_path) == {"model.savedmodel/weights": "old"}
    assert [p.name for p in tmp_path.iterdir()] == ["model.savedmodel"]


def test_a_block_that_writes_nothing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    with pytest.raises(WriteError, match=r"cannot write .*report\.json"), written_whole(path):
        pass
    assert _tree(tmp_path) == {"report.json": "old"}


def test_a_block_that_writes_nothing_leaves_the_old_folder(tmp_path: Path) -> None:
    path = _make_folder(tmp_path / "model.savedmodel", weights="old")
    with pytest.raises(WriteError, match=r"cannot write .*model\.savedmodel"), written_whole(path):
        pass
    assert _tree(tmp_path) == {"model.savedmodel/weights": "old"}


def test_a_file_never_takes_the_place_of_a_folder_and_all_that_is_in_it(tmp_path: Path) -> None:
    path = _make_folder(tmp_path / "recordings", first="precious")
    with pytest.raises(WriteError, match=r"cannot write .*recordings"):
        write_text(path, "a report")
    assert _tree(tmp_path) == {"recordings/first": "precious"}
    assert [p.name for p in tmp_path.iterdir()] == ["recordings"]


def test_a_folder_never_takes_the_place_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "model"
    path.write_text("precious")
    with pytest.raises(WriteError, match=r"cannot write .*model"), written_whole(path) as place:
        place.mkdir()
    assert _tree(tmp_path) == {"model": "precious"}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "report.json"
    with pytest.raises(WriteError) as caught:
        write_text(path, "new")
    assert str(caught.value) == f"cannot write {path}: {os.strerror(errno.ENOENT)}"
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    with pytest.raises(WriteError, match=os.strerror(errno.ENOTDIR)):
        write_text(tmp_path / "file" / "report.json", "new")
    assert _tree(tmp_path) == {"file": "old"}


def test_a_folder_without_permission_is_told(tmp_path: Path) -> None:
    folder = _make_folder(tmp_path / "locked", old="old")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    if os.access(folder, os.W_OK):
        pytest.skip("root may write everywhere")
    try:
        with pytest.raises(WriteError, match=os.strerror(errno.EACCES)):
            write_text(folder / "report.json", "new")
        assert _tree(tmp_path) == {"locked/old": "old"}
    finally:
        folder.chmod(stat.S_IRWXU)


# A real refusal of the system in the middle of a write, as on a full disk, which needs no full disk.
_LIMITED = """
import resource, sys
from pathlib import Path
from dslite.errors import WriteError
from dslite.files import written_whole

path, is_folder = Path(sys.argv[1]), sys.argv[2] == "folder"
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
try:
    with written_whole(path) as place:
        if is_folder:
            place.mkdir()
            (place / "weights").write_text("half")
            place = place / "more"
        place.write_text("x" * 100_000)
except WriteError as error:
    print(error)
"""


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("there_before", [False, True])
def test_a_write_that_fails_half_way_says_so_and_leaves_nothing(tmp_path: Path, kind: str, there_before: bool) -> None:
    path = tmp_path / "model"
    if there_before and kind == "file":
        path.write_text("old")
    elif there_before:
        _make_folder(path, weights="old")
    before = _tree(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, path, kind], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"cannot write {path}: ")
    assert "full; nothing was changed" in done.stdout
    assert _tree(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == (["model"] if there_before else [])


def test_a_new_file_has_the_permissions_of_any_other_new_file(tmp_path: Path) -> None:
    write_text(tmp_path / "ours", "x")
    (tmp_path / "usual").write_text("x")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("name", ["a" * 255, "音" * 85, ".hidden", "with blank"], ids=["long", "wide", "dot", "blank"])
def test_every_name_the_file_system_takes_can_be_written(tmp_path: Path, name: str) -> None:
    write_text(tmp_path / name, "new")
    assert _tree(tmp_path) == {name: "new"}


def test_files_are_told_apart_by_no_more_folders_than_it_takes() -> None:
    paths = ["/a/old/m.tflite", "/b/old/m.tflite", "/a/new/m.tflite", "n.tflite", "/a/old/m.tflite", "m.tflite"]
    assert told_apart(paths) == [
        "a/old/m.tflite",
        "b/old/m.tflite",
        "new/m.tflite",
        "n.tflite",
        "a/old/m.tflite",
        "m.tflite",
    ]
    assert told_apart([]) == []


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=4).map("/".join), max_size=8))
def test_different_files_have_different_names(paths: list[str]) -> None:
    names = told_apart(paths)
    assert len(set(names)) == len(set(paths))
    assert all(path.endswith(name) for path, name in zip(paths, names, strict=True))


def test_text_is_written_as_utf8_without_changed_line_ends(tmp_path: Path) -> None:
    write_text(tmp_path / "t", "ü→\n")
    assert (tmp_path / "t").read_bytes() == b"\xc3\xbc\xe2\x86\x92\n"


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


def test_the_hash_of_a_file_is_sha256_of_its_bytes(hashed: Path) -> None:
    assert sha256(hashed / "a.txt") == _SHA256_ABC
    assert size_bytes(hashed / "a.txt") == 3


def test_the_hash_of_a_folder_is_over_names_and_hashes_in_a_fixed_order(hashed: Path) -> None:
    assert [p.relative_to(hashed).as_posix() for p in files_in(hashed)] == ["a/b", "a.txt", "c"]
    assert sha256(hashed) == _SHA256_FOLDER
    assert size_bytes(hashed) == 5


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
    place.mkdir()
    (place / "old").write_text("precious")
    replace_path = Path.replace

    def interrupted(self: Path, target: Path) -> Path:
        if self.parent.name == "new":
            raise KeyboardInterrupt
        return replace_path(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt), written_whole(place) as new:
        new.mkdir()
    assert (place / "old").read_text() == "precious"
    assert [p.name for p in tmp_path.iterdir()] == ["model"]


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
