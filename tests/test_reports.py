"""Report files: their published form, their versions, and that of version 1, which is read for ever."""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from bench_reports import table_of

from dslite.errors import ReportError
from dslite.report import comparison, document
from dslite.report.schema import json_schema

VERSION_1 = Path(__file__).with_name("reports") / "version_1.json"
"""Of dslite 0.1.0, before reports had intervals: `dslite bench --backbone squeezenet_v1 --threads 1 --runs 12`."""


EARLY = Path(__file__).with_name("reports") / "version_1_early.json"
"""Of the first benches of the whole zoo, two rows, without split seeds; 60 samples of each series."""


def test_a_file_of_version_1_is_read_shown_and_compared() -> None:
    report = document.read(VERSION_1)
    assert (report.schema, report.dslite, len(report.runs)) == (1, "0.1.0", 4)
    text = table_of(report)
    assert "TFLite, end to end" in text
    assert "not valid" not in text  # rules came later: what was not recorded is not judged
    found = comparison.compare(report, report, ("A", "B"))
    assert {pair.ratio and pair.ratio.verdict for pair in found.pairs} == {"no difference shown"}


def test_a_file_from_before_fields_were_added_is_read() -> None:
    report = document.read(EARLY)
    assert {run.artifact.backbone for run in report.runs} == {"squeezenet_v1", "densenet121"}
    assert "squeezenet_v1" in table_of(report)


def test_the_schema_is_a_schema_and_describes_what_is_written(small_system: Any, tmp_path: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = json.loads(VERSION_1.read_text(encoding="utf-8"))
    assert list(validator.iter_errors(data)) == []
    assert list(validator.iter_errors(json.loads(document.to_text(document.read(VERSION_1))))) == []
    for change in (
        {"schema": 2},
        {"runs": [{}]},
        {"surprise": 1},
        {"runs": [{**data["runs"][0], "target": None}]},
        {"created": 3},
    ):
        assert list(validator.iter_errors(data | change)), change
    with pytest.raises(ReportError, match="unknown field 'surprise'"):
        document.from_text(json.dumps(data | {"surprise": 1}))
    assert "samples" in schema["$defs"]["Measurement"]["properties"]
    assert schema["$defs"]["Measurement"]["properties"]["value"]["description"] == "of a series, its median."
    for record in (schema, *schema["$defs"].values()):
        assert all(field.get("description") for field in record["properties"].values())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"schema": 2, "runs": []}', "schema 2 is newer than this dslite reads (1): update dslite"),
        ('{"schema": 0, "runs": []}', "schema 0 was never released"),
        ('{"schema": true, "runs": []}', "expected a report written by `dslite bench -o`"),
        ('{"benchmarks": [], "machine_info": {}}', "expected a report written by `dslite bench -o`, got other JSON"),
        ("[1, 2]", "expected a report written by `dslite bench -o`, got other JSON"),
        ('{"schema": 1, "runs": [', "expected a report written by `dslite bench -o`"),
        ("", "expected a report written by `dslite bench -o`"),
        ('{"schema": 1, "runs": []}', "field 'created' is missing"),
    ],
)
def test_other_files_each_get_their_message(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "odd.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ReportError) as caught:
        document.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


def test_a_folder_and_a_binary_file_are_told_apart_from_reports(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_bytes(b"\xff\xfe\x00TFL3")
    for path in (tmp_path, tmp_path / "x.json"):
        with pytest.raises(ReportError, match="expected a report written by `dslite bench -o`"):
            document.read(path)


def test_reading_a_report_takes_time_by_its_length(tmp_path: Path) -> None:
    """Ten times the runs, not a hundred times the time: as a ratio, on whatever machine."""
    report = document.read(VERSION_1)

    def seconds(n: int) -> float:
        path = tmp_path / f"{n}.json"
        runs = [replace(report.runs[2], artifact=replace(report.runs[2].artifact, path=f"{i}")) for i in range(n)]
        document.write(replace(report, runs=tuple(runs)), path)
        taken = []
        for _ in range(3):
            begin = time.process_time()
            assert len(document.read(path).runs) == n
            taken.append(time.process_time() - begin)
        return min(taken)

    assert seconds(1000) < 40 * seconds(100)
