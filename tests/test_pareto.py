from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from dslite.measure.bench import undescribed
from dslite.records import Flag, Measurement, Part, Plan, Run
from dslite.report.pareto import optimal
from dslite.report.view import SORTABLE, ordered

Point = tuple[float, float, float]


def _run(point: Point | None, part: Part = "whole", target: str = "host-litert", *, memory: bool = True) -> Run:
    artifact = undescribed("m.tflite", "small", "tflite-float32", part)  # type: ignore[arg-type]
    if point is None:
        return Run(artifact, target, None, Plan(1), error="it crashed")
    latency = Measurement("latency", point[0], "s", "clock", (point[0],), {"p50": point[0], "n": 1.0})
    found = [latency, Measurement("size", point[2], "bytes", "disk")]
    if memory:
        found.append(Measurement("memory_delta", point[1], "bytes", "kernel"))
    return Run(artifact, target, None, Plan(1), tuple(found))


_FEW = st.integers(1, 4).map(float)  # few values, so that ties and repeated points are frequent
_POINTS = st.lists(st.tuples(_FEW, _FEW, _FEW), min_size=2, max_size=8)


@given(_POINTS)
def test_a_row_is_marked_where_no_other_is_as_low_in_all_and_lower_in_one(points: list[Point]) -> None:
    best, objectives = optimal([_run(point) for point in points])
    assert [each.name for each in objectives] == ["latency", "memory_delta", "size"]
    for i, mine in enumerate(points):
        beaten = any(
            all(theirs[k] <= mine[k] for k in range(3)) and any(theirs[k] < mine[k] for k in range(3))
            for theirs in points
        )
        assert (i in best) == (not beaten)
    assert best


def test_only_rows_that_do_the_same_are_compared() -> None:
    slow, quick = (2.0, 2.0, 2.0), (1.0, 1.0, 1.0)
    assert optimal([_run(quick), _run(slow, "cnn"), _run(slow, target="phone")]) == (set(), ())
    assert optimal([_run(quick), _run(slow), _run(slow, "cnn")])[0] == {0}
    assert optimal([_run(quick), _run(None)]) == (set(), ())


def test_rows_that_are_not_valid_have_no_star_and_take_none() -> None:
    quick, slow, slowest = (_run((seconds, 1.0, 1.0)) for seconds in (1.0, 2.0, 3.0))
    disturbed = replace(quick, flags=(Flag("background_load", "other processes kept 1.5 cores busy meanwhile"),))
    noted = replace(quick, flags=(Flag("macs_disagree", "the Keras graph has 1 MAC, the file 2"),))
    assert optimal([disturbed, slow, slowest])[0] == {1}
    assert optimal([noted, slow, slowest])[0] == {0}
    assert optimal([disturbed, slow]) == (set(), ())


def test_what_was_not_measured_is_no_objective() -> None:
    runs = [_run((1.0, 9.0, 1.0)), _run((2.0, 1.0, 2.0), memory=False)]
    best, objectives = optimal(runs)
    assert (best, [each.name for each in objectives]) == ({0}, ["latency", "size"])


@given(_POINTS, st.booleans())
def test_rows_in_order_of_a_column_and_those_without_a_figure_last(points: list[Point], descending: bool) -> None:
    runs = [_run(None), *map(_run, points)]
    found = ordered(runs, "p50", descending=descending)
    values = [run.measurements[0].value for run in found[:-1]]
    assert values == sorted(values, reverse=descending)
    assert found[-1].error
    assert len(found) == len(runs)


def test_every_column_can_be_sorted_by() -> None:
    runs = [_run((2.0, 1.0, 3.0)), _run((1.0, 2.0, 3.0))]
    for column in SORTABLE:
        assert len(ordered(runs, column)) == 2
    assert ordered(runs, "memory") == runs
    assert ordered(runs, "p50") == runs[::-1]
    assert ordered(runs, "energy") == runs  # a metric of a target that none of them was measured on


def test_names_are_ordered_as_they_are_shown() -> None:
    runs = [
        replace(run, artifact=replace(run.artifact, backbone=name, path=f"{name}-whole-tflite-float32.tflite"))
        for name, run in zip(("vgg16", "densenet121", "mobilenet"), [_run((1.0, 1.0, 1.0))] * 3, strict=True)
    ]
    found = [run.artifact.backbone for run in ordered(runs, "name")]
    assert found == ["densenet121", "mobilenet", "vgg16"]
