from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from distributions import BAD_BUILDS, backbone, install

_SMALL = ["--part", "cnn", "--exporter", "tflite-float32", "--size", "32", "--runs", "1", "--min-seconds", "0"]


@pytest.mark.parametrize("name", BAD_BUILDS)
def test_a_build_that_breaks_the_contract_is_an_error_that_names_backbone_plugin_and_cure(
    name: str, tmp_path: Path, dslite_command: Callable[..., CompletedProcess[str]]
) -> None:
    body, expected = BAD_BUILDS[name]
    install(tmp_path, "lab", backbone(f"lab_{name}", body))
    report = tmp_path / "report.json"
    done = dslite_command(
        "bench", "--backbone", f"lab_{name}", *_SMALL, "-o", report, environment={"PYTHONPATH": str(tmp_path)}
    )
    assert done.returncode == 1
    told = done.stdout + done.stderr
    assert f"backbone lab_{name}" in told
    assert expected in told
    assert "(plugin lab of lab 1.0: mend it, or tell its authors what DSLITE_DEBUG=1 shows)" in told
    assert expected.split("'")[0] in report.read_text(encoding="utf-8")  # the report holds it too
