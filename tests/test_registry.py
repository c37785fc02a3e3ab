import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import assert_refused, invoke, run_dslite, said, told_json
from distributions import install
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from dslite.cli import console
from dslite.errors import PluginError, SpecError, UnknownNameError
from dslite.lazy import HEAVY
from dslite.loading import Kind, Plugin, _check_metrics, _check_names
from dslite.records import Augmenter, Column, Metric, Option, OptionValue, Target
from dslite.registry import Registry, parse_name, resolve_options

# -- names with options -----------------------------------------------------------------------------------

_NAMES = st.text(st.characters(exclude_characters=":", exclude_categories=["Cs"]), min_size=1)
_KEYS = st.text(st.characters(exclude_characters=",=", exclude_categories=["Cs"]), min_size=1)
_VALUES = st.text(st.characters(exclude_characters=",", exclude_categories=["Cs"]), min_size=1)


@given(_NAMES, st.dictionaries(_KEYS, _VALUES, max_size=4))
def test_a_name_and_its_options_come_back_from_their_text(name: str, options: dict[str, str]) -> None:
    text = f"{name}:{','.join(f'{k}={v}' for k, v in options.items())}" if options else name
    assert parse_name(text) == (name, options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        *((f"prune:sparsity=0.8,{item}", f"got {item!r}") for item in ("epochs", "epochs=", "=3", "=")),
        *((text, f"{text!r}: expected prune:key=value,key=value, or prune alone") for text in ("prune:", "prune:,")),
        ("prune:n=1,n=2", "option 'n' is given twice"),
    ],
)
def test_options_that_are_none_or_given_twice_are_refused_with_the_form_they_should_have(
    text: str, message: str
) -> None:
    with pytest.raises(SpecError) as caught:
        parse_name(text)
    assert message in str(caught.value)
    assert "expected prune:key=value,key=value" in str(caught.value) or "twice" in message


def _augmenter(*options: Option) -> Augmenter:
    return Augmenter("mix", lambda images, labels, _strength, _seed, _options: (images, labels), "a test", options)


MIX = _augmenter(
    Option("n", 2, "How many."),
    Option("alpha", 0.5, "How much."),
    Option("keep", False, "Whether to keep it."),
    Option("how", "linear", "In which way."),
)


def _typed(options: dict[str, OptionValue]) -> list[tuple[str, type, OptionValue]]:
    return [(name, type(value), value) for name, value in options.items()]  # equality takes 1 for 1.0 and True


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.integers(),
            "alpha": st.floats(allow_nan=False),
            "keep": st.booleans(),
            "how": st.text(min_size=1),
        },
    )
)
def test_options_get_the_type_of_their_default_and_the_rest_is_filled_in(wanted: dict[str, OptionValue]) -> None:
    given_ = {name: str(value) for name, value in wanted.items()}
    complete = {"n": 2, "alpha": 0.5, "keep": False, "how": "linear"} | wanted
    assert _typed(resolve_options(MIX, given_)) == _typed(complete)


@pytest.mark.parametrize(("text", "value"), [("TRUE", True), ("yes", True), ("1", True), ("No", False), ("0", False)])
def test_truth_has_several_spellings(text: str, value: bool) -> None:
    assert resolve_options(MIX, {"keep": text})["keep"] is value


@pytest.mark.parametrize(
    ("name", "text", "wanted"),
    [
        ("n", "2.5", "a whole number, such as 2"),
        ("n", "many", "a whole number, such as 2"),
        ("alpha", "half", "a number, such as 0.5"),
        ("keep", "maybe", "true or false"),
    ],
)
def test_a_value_of_another_type_is_refused_with_an_example(name: str, text: str, wanted: str) -> None:
    with pytest.raises(SpecError) as caught:
        resolve_options(MIX, {name: text})
    assert str(caught.value) == f"mix:{name} expects {wanted}, got {text!r}"


def test_an_unknown_option_is_refused_with_those_there_are() -> None:
    with pytest.raises(UnknownNameError, match="mix has no option 'beta': it has n, alpha, keep, how"):
        resolve_options(MIX, {"beta": "1"})
    with pytest.raises(UnknownNameError, match="mix has no option 'beta': it has none"):
        resolve_options(_augmenter(), {"beta": "1"})


# -- look-up ----------------------------------------------------------------------------------------------


def _target(name: str) -> Target:
    return Target(name, (".tflite",), list, lambda *_: [], "a test")


def _registry(error: str | None = None) -> Registry:
    records: dict[Kind, tuple[Any, ...]] = {"targets": (_target("phone"), _target("attic")), "augmenters": (MIX,)}
    return Registry((Plugin("lab", "lab", "lab 1.0", records=records), Plugin("lost", "lost", "lost 2.0", error=error)))


def test_records_are_in_the_order_they_were_loaded_and_found_by_kind_and_name_with_who_brought_them() -> None:
    found = _registry()
    assert found.names("targets") == ["attic", "phone"]
    assert [record.name for record in found.records("targets")] == ["phone", "attic"]
    assert found.names("backbones") == []
    assert found.get("augmenters", "mix") is MIX
    assert found.find("mix") == [("augmenters", MIX)]
    assert found.provider(MIX).distribution == "lab 1.0"


@pytest.mark.parametrize(
    ("look_up", "message"),
    [
        (lambda r: r.get("targets", "phnoe"), "no target is named 'phnoe': did you mean 'phone'?"),
        (lambda r: r.get("targets", "mix"), "no target is named 'mix': `dslite list targets` shows what is installed"),
        (lambda r: r.find("phonee"), "no plugin is named 'phonee': did you mean 'phone'?"),
        (lambda r: r.find("zzzz"), "no plugin is named 'zzzz': `dslite list` shows what is installed"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest_or_with_where_to_look(
    look_up: Callable[[Registry], Any], message: str
) -> None:
    with pytest.raises(UnknownNameError) as caught:
        look_up(_registry())
    assert str(caught.value) == message


def test_an_unknown_name_also_names_the_plugins_that_failed() -> None:
    with pytest.raises(UnknownNameError, match=r"did you mean 'phone'\?; not loaded: lost \(`dslite plugins` says"):
        _registry(error="broken").get("targets", "phnoe")
    with pytest.raises(UnknownNameError, match="plugin lost was left out: it imports torch: do not"):
        _registry(error="it imports torch: do not").get("targets", "dslite-lost")


# -- isolation: real distributions, found by the real command -------------------------------------------------


def _dslite(site: Path, *words: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return invoke(*words, environment={"PYTHONPATH": str(site), **environment})


def _plugins(site: Path, **environment: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = told_json("plugins", environment={"PYTHONPATH": str(site), **environment})
    for plugin in found:
        plugin.pop("load_s")
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    found = _plugins(tmp_path_factory.mktemp("empty"))
    assert {"keras-applications", "tflite", "host"} <= {plugin["name"] for plugin in found}
    assert [plugin["error"] for plugin in found] == [None] * len(found)
    return found


_HEAD = """
from dslite import hookimpl
from dslite.records import Backbone, Exporter, Option, Target

def exporter(name, **changes):
    fields = dict(suffix=".lab", export=lambda *_: None, needs_calibration=False, source="a test")
    return Exporter(name, **fields | changes)

def target(name, **changes):
    fields = dict(suffixes=(".lab",), devices=list, run=lambda *_: [], source="a test")
    return Target(name, **fields | changes)
"""

_GOOD = f"""{_HEAD}
@hookimpl
def dslite_exporters():
    return [exporter("lab-file")]

@hookimpl
def dslite_targets():
    yield target("lab-bench")
"""


def _hook(body: str, name: str = "dslite_targets", parameters: str = "") -> str:
    return f"{_HEAD}\n@hookimpl\ndef {name}({parameters}):\n    {body}\n"


_HEAVY_TOLD = ["as it is loaded", "move that import into the function that needs it"]
_TYPE_TOLD = "dslite_targets must return dslite.records.Target records"
_LIST_TOLD = "dslite_targets must return an iterable of dslite.records.Target"
_BAD = {
    "missing import": ("import no_such_library\n", ["No module named 'no_such_library'", "install it"]),
    "another version of dslite": (
        "from dslite.records import Backbones\n",
        ["'Backbones'", "another version of dslite"],
    ),
    "syntax error": ("def broken(:\n", ["SyntaxError in ", "bad.py, line 1: "]),
    "no module": (None, ["No module named 'bad'", "its entry point names a module that is not installed"]),
    "TensorFlow taken along": ("import json\nimport tensorflow as tf\n", ["it imports tensorflow", *_HEAVY_TOLD]),
    "Keras by way of dslite": ("from dslite.model.keras import keras\n", ["it imports tf_keras", *_HEAVY_TOLD]),
    "TensorFlow in a hook": (_hook("import tensorflow; return []"), ["it imports tensorflow", *_HEAVY_TOLD]),
    "misspelt hook": (_hook("return []", "dslite_exporter"), ["dslite_exporter is no", "mean dslite_exporters?"]),
    "hook of another name": (
        _hook("return []", "register"),
        ["register is no hook", "dslite_backbones"],
    ),
    "extra argument": (_hook("return []", parameters="config"), ["dslite_targets takes config", "remove it"]),
    "wrong record type": (_hook("return [exporter('lab-file')]"), [_TYPE_TOLD, "Exporter(name='lab-file'"]),
    "names instead of records": (_hook("return {'lab-bench': target('lab-bench')}"), [_TYPE_TOLD, "'lab-bench'"]),
    "one record, no list": (
        _hook("return target('lab-bench')"),
        [_LIST_TOLD, "got Target", "in a list"],
    ),
    "a string": (_hook("return 'lab-bench'"), [_LIST_TOLD, "got str"]),
    "return forgotten": (_hook("[target('lab-bench')]"), [_LIST_TOLD, "got None"]),
    "name of a built-in": (
        _hook("return [exporter('lab-file'), exporter('tflite-float32')]", "dslite_exporters"),
        ["exporter 'tflite-float32' is taken by plugin 'tflite'", "DSLITE_DISABLE=tflite"],
    ),
    "name twice": (_hook("return [target('lab-bench'), target('lab-bench')]"), ["target 'lab-bench' is there twice"]),
    "name nobody could type": (_hook("return [target('lab:bench')]"), ["'lab:bench' is no name", ": , * ? = [ ] / \\"]),
    "field of the wrong type": (_hook("return [target('lab-bench', source=None)]"), ["lab-bench", "source", "None"]),
    "field JSON cannot hold": (
        _hook("return [exporter('lab-file', suffix=b'.lab')]", "dslite_exporters"),
        ["lab-file", "suffix", "b'.lab'"],
    ),
    "options that are none": (
        _hook("return [exporter('lab-file', options=('samples',))]", "dslite_exporters"),
        ["lab-file", "options", "samples"],
    ),
    "exit at import": ("import sys\nsys.exit('no licence')\n", ["loading it called sys.exit('no licence')"]),
    "exit in a hook": (_hook("raise SystemExit(3)"), ["dslite_targets called sys.exit(3)"]),
    "panic at import": (
        "class Panic(BaseException):\n    pass\n\nraise Panic('lost')\n",
        ["loading it raised Panic: lost", "DSLITE_DISABLE=bad"],
    ),
    "hook that raises": (
        _hook("raise RuntimeError('no phone\\nfound')"),
        ["dslite_targets raised RuntimeError: no phone found", "DSLITE_DISABLE=bad"],
    ),
    "hook that raises on the way": (
        _hook("yield target('lab-bench'); raise RuntimeError('lost')"),
        ["dslite_targets raised RuntimeError: lost"],
    ),
    "error that cannot be told": (
        "class Broken(Exception):\n    def __str__(self):\n        raise ValueError\n\nraise Broken\n",
        ["Broken"],
    ),
    "no hooks": ("x = 1\n", ["bad has no hook", "dslite_backbones", "@dslite.hookimpl"]),
    "hook without its mark": ("def dslite_targets():\n    return []\n", ["bad has no hook", "@dslite.hookimpl"]),
}


@pytest.mark.parametrize(("source", "reason"), _BAD.values(), ids=_BAD)
def test_a_bad_plugin_is_told_with_its_reason_and_the_others_live_on(
    tmp_path: Path,
    installed: list[dict[str, Any]],
    monkeypatch: pytest.MonkeyPatch,
    source: str | None,
    reason: list[str],
) -> None:
    for name in [*HEAVY, "dslite.model.keras"]:  # as in a process that has just begun
        monkeypatch.delitem(sys.modules, name, raising=False)
    install(tmp_path, "bad", source or "")
    if source is None:
        (tmp_path / "bad.py").unlink()
    listed = said(_dslite(tmp_path, "list"), "not loaded: bad (`dslite plugins` says why)\n")
    assert {"densenet121", "tflite-float32", "host-litert"} <= set(listed.split())
    assert "lab-" not in listed

    *others, bad = _plugins(tmp_path)
    assert others == installed
    assert (bad["name"], bad["module"], bad["distribution"], bad["provides"]) == ("bad", "bad", "bad 1.0", {})
    assert [part for part in reason if part not in bad["error"]] == []
    assert "\n" not in bad["error"]


@pytest.mark.parametrize("name", [*(f"lab{c}bench" for c in ":,*?=[]/\\ \t\n"), "", " lab"])
def test_a_name_that_cannot_stand_in_a_list_a_pattern_or_a_file_name_is_refused(name: str) -> None:
    with pytest.raises(PluginError, match="is no name for one of the targets: rename it"):
        _check_names({"targets": (_target(name),)}, {})


@pytest.mark.parametrize(
    ("metric", "message"),
    [
        (Metric("Bad Name", "J"), "metric 'Bad Name': rename it"),
        (Metric("energy", "J\x1b[31m"), r"can be printed, got 'J\\x1b\[31m'"),
        (Metric("energy", " "), "expected a unit"),
        (Metric("energy", "J", columns=(Column("energy\nJ\x1b]"),)), "can be printed"),
    ],
)
def test_a_metric_that_cannot_be_named_or_printed_is_refused(metric: Metric, message: str) -> None:
    with pytest.raises(PluginError, match=message):
        _check_metrics(replace(_target("lab"), metrics=(metric,)))
    _check_metrics(replace(_target("lab"), metrics=(Metric("energy_2", "mJ/inf", columns=(Column("energy\nmJ"),)),)))


def test_nothing_of_a_failure_is_cut_on_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ("a_plugin_of_a_long_name", "a-distribution-of-a-long-name 1.0", "0.1 ms", "FAILED: lost: mend_what_is_long")
    written = io.StringIO()
    monkeypatch.setattr(console, "out", lambda: Console(file=written, width=50))
    console.print_table(("A", "B", "C", "D"), [row])
    header, *lines = written.getvalue().splitlines()
    starts = [header.index(name) for name in "ABCD"]
    for start, end, cell in zip(starts, [*starts[1:], None], row, strict=True):
        assert "".join("".join(line[start:end] for line in lines).split()) == cell.replace(" ", "")


def test_a_failure_is_told_wherever_a_user_may_miss_it_with_its_place_when_asked(tmp_path: Path) -> None:
    install(tmp_path, "bad", "import json\n\nraise RuntimeError('lost')\n")
    told = _dslite(tmp_path, "plugins", DSLITE_DEBUG="1")
    assert told.returncode == 0
    assert 'bad.py", line 3, in <module>' in told.stderr
    (line,) = [line for line in told.stdout.splitlines() if line.startswith("bad ")]
    assert "FAILED: loading it raised RuntimeError: lost" in line
    assert_refused(_dslite(tmp_path, "show", "lab-bench"), "not loaded: bad (`dslite plugins` says why)")


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM")
def test_a_signal_while_a_plugin_loads_ends_the_process_and_is_no_failure(tmp_path: Path) -> None:
    ends = "import os, signal, time\n\nos.kill(os.getpid(), signal.SIGTERM)\ntime.sleep(60)\n"
    install(tmp_path, "ends", ends)
    assert run_dslite("plugins", environment={"PYTHONPATH": str(tmp_path)}).returncode == 128 + 15


def test_a_good_plugin_stands_beside_bad_ones(tmp_path: Path, installed: list[dict[str, Any]]) -> None:
    install(tmp_path, "bad", "raise SystemExit(3)\n")
    install(tmp_path, "lab", _GOOD, "lab = lab", "lost = no_such_module", "odd = lab:no_such_object")
    install(tmp_path, "worse", "def broken(:\n")
    install(tmp_path, "ruin", _GOOD.replace("lab-", "ruin-"))
    (tmp_path / "ruin-1.0.dist-info" / "METADATA").unlink()  # as an interrupted uninstall leaves it
    found = _plugins(tmp_path)
    assert found[: len(installed)] == installed
    by_name = {plugin["name"]: plugin for plugin in found}
    bad, lab, lost, odd, worse = (by_name[name] for name in ("bad", "lab", "lost", "odd", "worse"))
    assert bad["error"]
    assert worse["error"]
    assert "no_such_module" in lost["error"]
    assert "no_such_object" in odd["error"]
    assert {lab["distribution"], lost["distribution"], odd["distribution"]} == {"lab 1.0"}
    assert (lab["name"], lab["module"], lab["error"]) == ("lab", "lab", None)
    assert lab["provides"] == {"exporters": ["lab-file"], "targets": ["lab-bench"]}
    (shown,) = json.loads(_dslite(tmp_path, "show", "lab-bench", "--json").stdout)
    assert (shown["kind"], shown["suffixes"], shown["plugin"]) == ("target", [".lab"], "lab")
    assert "lab-file" in _dslite(tmp_path, "list", "exporters").stdout


def test_disabled_plugins_are_left_out_and_their_names_are_free(
    tmp_path: Path, installed: list[dict[str, Any]]
) -> None:
    install(tmp_path, "bad", "raise RuntimeError\n")
    install(tmp_path, "lab", _GOOD.replace("lab-file", "tflite-float32"))
    assert _plugins(tmp_path, DSLITE_DISABLE="bad, lab") == installed
    assert "taken" in _plugins(tmp_path, DSLITE_DISABLE="bad")[-1]["error"]
    *rest, lab = _plugins(tmp_path, DSLITE_DISABLE="tflite,bad,no-such-plugin")
    assert [plugin["name"] for plugin in rest] == [p["name"] for p in installed if p["name"] != "tflite"]
    assert lab["provides"]["exporters"] == ["tflite-float32"]


def test_own_plugins_load_first_then_the_others_by_name_and_the_first_to_take_a_name_keeps_it(
    tmp_path: Path, installed: list[dict[str, Any]]
) -> None:
    install(tmp_path, "zebra", _GOOD)
    install(tmp_path, "aardvark", _GOOD)
    *own, aardvark, zebra = _plugins(tmp_path)
    assert own == installed
    assert {plugin["distribution"].split()[0] for plugin in own} == {"dslite"}
    assert (aardvark["name"], aardvark["error"]) == ("aardvark", None)
    assert zebra["name"] == "zebra"
    assert "is taken by plugin 'aardvark'" in zebra["error"]
