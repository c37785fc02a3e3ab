"""The command `dslite report`: what it calls the reports it reads, and that it spares them."""

from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

VERSION_1 = Path(__file__).with_name("reports") / "version_1.json"
Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def alike(tmp_path: Path) -> list[str]:
    """Two reports of one name, as each folder of `dslite compress` has one."""
    paths = [tmp_path / folder / "report.json" for folder in ("first", "second")]
    for path in paths:
        path.parent.mkdir()
        path.write_bytes(VERSION_1.read_bytes())
    return [str(path) for path in paths]


def test_reports_of_one_name_are_told_apart_by_folders_and_no_more(
    alike: list[str], tmp_path: Path, dslite_command: Command
) -> None:
    done = dslite_command("report", *alike, str(VERSION_1))
    assert (done.returncode, done.stderr) == (0, "")
    for name in ("first/report.json: 2", "second/report.json: 2", "\nversion\\_1.json: 2"):
        assert name in done.stdout
    assert str(tmp_path) not in done.stdout


def test_a_report_that_is_named_twice_is_refused(alike: list[str], tmp_path: Path, dslite_command: Command) -> None:
    (tmp_path / "link.json").symlink_to(alike[0])
    for again in (alike[0], str(tmp_path / "link.json")):
        done = dslite_command("report", alike[0], again)
        assert done.returncode == 2
        assert done.stderr == f"error: {alike[0]}: expected each report once, got it 2 times\n"


def test_a_report_is_never_replaced_by_its_own_page(alike: list[str], tmp_path: Path, dslite_command: Command) -> None:
    (tmp_path / "link.html").symlink_to(alike[1])
    for output in (alike[1], str(tmp_path / "link.html")):
        done = dslite_command("report", *alike, "--format", "html", "-o", output)
        assert done.returncode == 2
        assert "is a report that is to be read" in done.stderr
        assert len(done.stderr.splitlines()) == 1
    assert Path(alike[1]).read_bytes() == VERSION_1.read_bytes()
