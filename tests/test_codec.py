import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dslite.codec import from_json, plain, to_json
from dslite.errors import SpecError
from dslite.recipe import REFERENCE, FrontendSpec, HeadSpec, Recipe
from dslite.records import Artifact, BenchReport, Device, Flag, Measurement, Plan, Run, TensorSpec

ARTIFACT = Artifact(
    path="cough.tflite",
    sha256="ab" * 32,
    size_bytes=29_000_000,
    backbone="densenet121",
    weights="imagenet",
    compressors=("prune:sparsity=0.8",),
    exporter="tflite-float32",
    part="whole",
    input=TensorSpec("audio", (1, 48_000), "float32"),
    output=TensorSpec("probabilities", (1, 2), "float32"),
    labels=("cough", "none"),
    chunk={"length_s": 3.0, "hop_s": None},
    frontend={"n_mels": 128, "colours": ["viridis"]},
    params=7_564_354,
    macs=2_851_000_000,
    split_seed=0,
)
DEVICE = Device("host", "Some CPU", "Linux 6.1", "x86_64", 2, 8_000_000_000)
LATENCY = Measurement("latency", 0.25, "s", "median of two runs", (0.25, 0.25), {"mean": 0.25, "n": 2.0})
RUN = Run(ARTIFACT, "host-litert", DEVICE, Plan(threads=2), (LATENCY,), (Flag("few", "two runs only"),))
REPORT = BenchReport(1, "2024-05-01T12:00:00Z", "0.1.0", None, "dslite bench", {"governor": "performance"}, (RUN,))

_FLOATS = st.floats(allow_nan=False)  # NaN is not equal to itself
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | _FLOATS | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)
_OBJECTS = st.dictionaries(st.text(max_size=8), _JSON, max_size=3)
_ARTIFACTS = st.builds(Artifact, chunk=st.none() | _OBJECTS, frontend=st.none() | _OBJECTS)
_MEASUREMENTS = st.builds(
    Measurement,
    value=_FLOATS,
    samples=st.lists(_FLOATS, max_size=4).map(tuple),
    statistics=st.dictionaries(st.text(max_size=8), _FLOATS, max_size=3),
)
_PLANS = st.builds(Plan, warmup_s=_FLOATS, min_s=_FLOATS, max_s=_FLOATS, timeout_s=_FLOATS)
_RUNS = st.builds(
    Run,
    artifact=_ARTIFACTS,
    plan=_PLANS,
    device=st.none() | st.builds(Device),
    measurements=st.lists(_MEASUREMENTS, max_size=2).map(tuple),
    flags=st.lists(st.builds(Flag), max_size=2).map(tuple),
    error=st.none() | st.text(max_size=8),
)
_REPORTS = st.builds(BenchReport, environment=_OBJECTS, runs=st.lists(_RUNS, max_size=2).map(tuple))


def _through_text(record: Any) -> Any:
    return from_json(type(record), json.loads(json.dumps(to_json(record))))


@settings(max_examples=50)
@given(_ARTIFACTS | _RUNS | _REPORTS | st.sampled_from([REPORT, REFERENCE, HeadSpec(n_hidden=64, output="linear")]))
def test_any_record_comes_back_from_json_text_as_it_was(record: Any) -> None:
    back = _through_text(record)
    assert back == record
    assert repr(back) == repr(record)  # equality takes 1 for 1.0 and True


def test_json_holds_plain_lists_dicts_and_scalars_under_the_names_of_the_fields() -> None:
    assert to_json(RUN)["artifact"]["input"] == {"kind": "audio", "shape": [1, 48_000], "dtype": "float32"}
    assert to_json(RUN)["measurements"][0]["samples"] == [0.25, 0.25]
    known = ["id", "model", "os", "abi", "cpus", "memory_bytes", "soc", "core_max_hz", "state", "problem"]
    assert list(to_json(DEVICE)) == known


def test_plain_reaches_records_within_mappings_and_sequences() -> None:
    assert plain({1: (Flag("a", "b"), [None])}) == {"1": [{"code": "a", "message": "b"}, [None]]}


def test_a_field_with_a_default_may_be_left_out() -> None:
    assert from_json(Plan, {"threads": 3}) == Plan(threads=3)
    assert from_json(Recipe, {"frontend": {"n_mels": 64}}) == Recipe(frontend=FrontendSpec(n_mels=64))


def test_an_int_is_taken_for_a_float_and_stays_whole_in_json() -> None:
    plan = from_json(Plan, {"threads": 1, "min_s": 2})
    assert plan.min_s == 2.0
    assert json.dumps(to_json(plan)["min_s"]) == "2"


def _set(*path: str | int, to: Any) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        data[path[-1]] = to

    return change


def _remove(*path: str | int) -> Callable[[Any], None]:
    def change(data: Any) -> None:
        for step in path[:-1]:
            data = data[step]
        del data[path[-1]]

    return change


_RUN = ("runs", 0)
_FIGURE = (*_RUN, "measurements", 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_remove("runs"), "BenchReport: field 'runs' is missing"),
        (_remove(*_RUN, "artifact", "sha256"), "BenchReport.runs[0].artifact: field 'sha256' is missing"),
        (_set("color", to=1), "BenchReport: unknown field 'color'; known are schema, created,"),
        (_set(*_RUN, "artifact", "input", "size", to=1), "BenchReport.runs[0].artifact.input: unknown field 'size'"),
        (_set("schema", to="1"), "BenchReport.schema: expected int, got '1'"),
        (_set("schema", to=True), "BenchReport.schema: expected int, got True"),
        (_set("schema", to=1.0), "BenchReport.schema: expected int, got 1.0"),
        (_set("schema", to=None), "BenchReport.schema: expected int, got None"),
        (_set("created", to=2024), "BenchReport.created: expected str, got 2024"),
        (_set("commit", to=7), "BenchReport.commit: expected str, got 7"),
        (_set("environment", to=[]), "BenchReport.environment: expected an object, got []"),
        (_set("runs", to={}), "BenchReport.runs: expected a list, got {}"),
        (_set(*_RUN, to="x"), "BenchReport.runs[0]: expected an object, got 'x'"),
        (_set(*_RUN, "device", to=[]), "BenchReport.runs[0].device: expected an object, got []"),
        (_set(*_RUN, "device", "cpus", to=False), "BenchReport.runs[0].device.cpus: expected int, got False"),
        (_set(*_RUN, "plan", "memory", to=1), "BenchReport.runs[0].plan.memory: expected bool, got 1"),
        (_set(*_RUN, "plan", "min_s", to=True), "BenchReport.runs[0].plan.min_s: expected float, got True"),
        (_set(*_RUN, "plan", "min_s", to="1"), "BenchReport.runs[0].plan.min_s: expected float, got '1'"),
        (_set(*_RUN, "artifact", "labels", to="ab"), "BenchReport.runs[0].artifact.labels: expected a list, got 'ab'"),
        (_set(*_RUN, "artifact", "macs", to=True), "BenchReport.runs[0].artifact.macs: expected int, got True"),
        (_set(*_RUN, "artifact", "chunk", to=3), "BenchReport.runs[0].artifact.chunk: expected an object, got 3"),
        (
            _set(*_RUN, "artifact", "part", to="half"),
            "BenchReport.runs[0].artifact.part: expected one of whole, frontend, cnn, got 'half'",
        ),
        (
            _set(*_RUN, "artifact", "input", "shape", 1, to="48000"),
            "BenchReport.runs[0].artifact.input.shape[1]: expected int, got '48000'",
        ),
        (
            _set(*_FIGURE, "samples", 1, to=None),
            "BenchReport.runs[0].measurements[0].samples[1]: expected float, got None",
        ),
        (
            _set(*_FIGURE, "statistics", "mean", to="quick"),
            "BenchReport.runs[0].measurements[0].statistics.mean: expected float, got 'quick'",
        ),
    ],
)
def test_what_does_not_fit_is_named_with_its_path(change: Callable[[Any], None], message: str) -> None:
    data = to_json(REPORT)
    change(data)
    with pytest.raises(SpecError) as caught:
        from_json(BenchReport, data)
    assert str(caught.value).startswith(message)


def test_the_path_starts_with_the_name_it_was_given() -> None:
    with pytest.raises(SpecError, match=r"^artifact: expected an object, got None$"):
        from_json(Artifact, None, "artifact")
    with pytest.raises(SpecError, match=r"^artifact\.params: expected int, got 'many'$"):
        from_json(Artifact, to_json(ARTIFACT) | {"params": "many"}, "artifact")


def test_a_number_too_large_for_a_float_is_a_wrong_value_not_a_crash() -> None:
    with pytest.raises(SpecError, match=r"Measurement\.value: expected float"):
        from_json(Measurement, to_json(LATENCY) | {"value": 10**400})


def test_a_value_outside_the_range_of_its_setting_is_refused_as_when_it_is_built() -> None:
    with pytest.raises(SpecError, match="Mel bins: expected 1 to 1024, got 0"):
        from_json(Recipe, {"frontend": {"n_mels": 0}})


LATER = ("split_seed", "n_calibration")
"""Fields that came when there were files without them already."""


@pytest.mark.parametrize("name", [f.name for f in dataclasses.fields(Artifact) if f.name not in LATER])
def test_every_field_of_a_manifest_must_be_there(name: str) -> None:
    data = to_json(ARTIFACT)
    del data[name]
    with pytest.raises(SpecError, match=f"field '{name}' is missing"):
        from_json(Artifact, data)


@pytest.mark.parametrize("name", LATER)
def test_a_manifest_from_before_a_field_came_is_read(name: str) -> None:
    data = to_json(ARTIFACT)
    del data[name]
    assert getattr(from_json(Artifact, data), name) is None
