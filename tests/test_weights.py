"""Weights from a cache, from a server, and from files: with a real server on loopback and real files of Keras."""

import hashlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from conftest import assert_refused, invoke

from dslite.errors import DownloadError, ModelFileError, SpecError
from dslite.model import weights
from dslite.model.keras import keras
from dslite.model.weights import cache_folder, fetch, keras_downloads
from dslite.registry import registry

NAME = "some_weights.h5"
CLOSED = "http://127.0.0.1:9"  # the discard port, which nothing serves
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


@dataclass
class Server:
    """A file server on loopback that can also fail in the ways servers do."""

    files: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    promise_bytes: int = 0  # Content-Length beyond what is sent
    stall_after: int | None = None  # bytes, and then nothing more until `go_on`
    answers: bool = True
    go_on: threading.Event = field(default_factory=threading.Event)
    url: str = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append(request.path)
        if not self.answers:
            self.go_on.wait(60)
            return
        content = self.files.get(request.path.rpartition("/")[2])
        if content is None:
            request.send_error(404)
            return
        request.send_response(200)
        request.send_header("Content-Length", str(len(content) + self.promise_bytes))
        request.end_headers()
        if self.stall_after is not None:
            request.wfile.write(content[: self.stall_after])
            request.wfile.flush()
            self.go_on.wait(60)
        else:
            request.wfile.write(content)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        state.url = f"http://127.0.0.1:{httpd.server_port}/"
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,))
        thread.start()
        yield state
        state.go_on.set()
        httpd.shutdown()
        thread.join()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty KERAS_HOME that does not exist yet; gives the folder its weights would be in."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    return tmp_path / "keras" / "models"


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real weight file, 8 kB."""
    path = tmp_path_factory.mktemp("content") / NAME
    with h5py.File(path, "w") as file:
        file["kernel"] = np.arange(1000, dtype=np.float64)
    return path.read_bytes()


def _md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _refused(*arguments: Any, **more: Any) -> str:
    with pytest.raises(DownloadError) as caught:
        fetch(*arguments, **more)
    text = str(caught.value)
    assert len(text.splitlines()) == 1
    assert "[Errno" not in text
    return text


def _left(home: Path) -> list[str]:
    return sorted(p.name for p in home.rglob("*")) if home.exists() else []


# -- cache and download -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hash_of", [_md5, _sha256, lambda _: None], ids=["md5", "sha256", "no hash"])
def test_a_download_is_kept_and_the_server_not_asked_again(
    server: Server, home: Path, content: bytes, hash_of: Callable[[bytes], str | None]
) -> None:
    server.files[NAME] = content
    path = fetch(NAME, server.url + NAME, hash_of(content))
    assert path == home / NAME
    assert path.read_bytes() == content
    assert _left(home) == [NAME]
    assert fetch(NAME, CLOSED, hash_of(content)) == path
    assert server.asked == [f"/{NAME}"]


def test_the_cache_is_keras_own_or_what_keras_home_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("KERAS_HOME", raising=False)
    assert cache_folder() == tmp_path / ".keras" / "models"
    monkeypatch.setenv("KERAS_HOME", "~/mirror")
    assert cache_folder() == tmp_path / "mirror" / "models"


def test_a_mirror_that_may_not_be_written_to_is_only_read(home: Path, content: bytes) -> None:
    home.mkdir(parents=True)
    (home / NAME).write_bytes(content)
    home.chmod(0o555)
    before = home.stat().st_mtime_ns  # changes with every file made or removed, which root may do all the same
    try:
        assert fetch(NAME, CLOSED, _md5(content)) == home / NAME
        assert home.stat().st_mtime_ns == before
    finally:
        home.chmod(0o755)


def test_a_cache_not_writable_is_named(
    server: Server, tmp_path: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    server.files[NAME] = content
    text = _refused(NAME, server.url + NAME)
    assert f"not in {tmp_path / 'file' / 'models'}, and that folder cannot be used: Not a directory" in text
    assert "set KERAS_HOME" in text
    assert server.asked == []


def test_a_damaged_file_in_the_cache_is_downloaded_again(server: Server, home: Path, content: bytes) -> None:
    server.files[NAME] = content
    home.mkdir(parents=True)
    for file_hash, damaged in ((_md5(content), b"other"), (None, content[:-100])):
        (home / NAME).write_bytes(damaged)
        assert fetch(NAME, server.url + NAME, file_hash).read_bytes() == content


def test_a_damaged_file_that_cannot_be_replaced_is_called_so_and_left(home: Path, content: bytes) -> None:
    home.mkdir(parents=True)
    (home / NAME).write_bytes(b"other")
    text = _refused(NAME, CLOSED, _md5(content))
    assert f"damaged in {home} (MD5: expected {_md5(content)}, got {_md5(b'other')})" in text
    assert (home / NAME).read_bytes() == b"other"


WHOLE, CUT = slice(None), slice(-100)


@pytest.mark.parametrize(
    ("sent", "fails", "file_hash", "message"),
    [
        (WHOLE, {}, "0" * 32, "(MD5: expected {hash}, got {md5})"),
        (WHOLE, {}, "0" * 64, "(SHA-256: expected {hash}, got {sha256})"),
        (WHOLE, {"promise_bytes": 500}, None, "the connection ended after {n} of {more} bytes"),
        (CUT, {}, None, "what came is damaged (no whole HDF5 file: "),  # told by neither hash nor length
        (WHOLE, {"stall_after": 0}, None, "no answer for 0.2 s"),
        (WHOLE, {"stall_after": 5000}, None, "no answer for 0.2 s"),
        (WHOLE, {"answers": False}, None, "no answer for 0.2 s"),
        (None, {}, None, "{name}: not in {home}, and not to be had from {url}: the server answers 404 Not Found; "),
        (None, {}, None, "put it there, or name a file with --weights, or take --weights none"),
    ],
)
def test_what_does_not_come_whole_is_not_kept_and_said_in_a_line(
    server: Server,
    home: Path,
    content: bytes,
    sent: slice | None,
    fails: dict[str, int],
    file_hash: str | None,
    message: str,
) -> None:
    if sent:
        server.files[NAME] = content[sent]
    for name, how in fails.items():
        setattr(server, name, how)
    url, n = server.url + NAME, len(content)
    facts = {"hash": file_hash, "md5": _md5(content), "sha256": _sha256(content), "name": NAME, "home": home}
    assert message.format(**facts, url=url, n=n, more=n + 500) in _refused(NAME, url, file_hash, timeout_s=0.2)
    assert _left(home) == []


def test_no_network_is_said_at_once(home: Path) -> None:
    assert f"{CLOSED}: Connection refused; " in _refused(NAME, CLOSED)
    assert "unknown url type" in _refused(NAME, "nonsense:x")
    assert _left(home) == []


def test_a_download_that_is_killed_leaves_nothing_taken_for_the_file(
    server: Server, home: Path, content: bytes
) -> None:
    server.files[NAME] = content
    server.stall_after = len(content) // 2
    words = [sys.executable, "-c", "import sys; from dslite.model.weights import fetch; fetch(*sys.argv[1:])"]
    with subprocess.Popen([*words, NAME, server.url + NAME]) as process:
        while not any(p.is_file() for p in home.rglob("*")):  # it has begun to write
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert not (home / NAME).exists()
    server.stall_after = None
    assert fetch(NAME, server.url + NAME).read_bytes() == content


def test_progress_is_told_to_whoever_asks_and_else_to_nobody(
    server: Server, home: Path, content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    server.files[NAME] = content
    monkeypatch.setattr(weights, "_TELL_EVERY_S", 0.0)
    told: list[str] = []
    with weights.downloads_told_to(told.append):
        fetch(NAME, server.url + NAME)
    mb = f"{len(content) / 1e6:.1f}"
    assert told == [f"downloading {NAME}, {mb} of {mb} MB"]
    (home / NAME).unlink()
    fetch(NAME, server.url + NAME)
    assert len(told) == 1
    assert capsys.readouterr() == ("", "")


# -- keras.applications and SqueezeNet with it ------------------------------------------------------------


def _build(name: str, weight: str | None, size: int = 96, **options: Any) -> Any:
    record = registry().get("backbones", name)
    return record.build((size, size, 3), weight, {o.name: o.default for o in record.options} | options)


def _values(path: Path) -> list[Any]:
    """All weights of a file in the order of its layers."""
    with h5py.File(path) as file:
        layers = [file[name] for name in file.attrs["layer_names"]]
        return [layer[name][()] for layer in layers for name in layer.attrs["weight_names"]]


def _same(model: Any, values: list[Any]) -> bool:
    ours = _in_order(model)
    return len(ours) == len(values) and all(np.array_equal(a, b) for a, b in zip(ours, values, strict=True))


def _in_order(model: Any) -> list[Any]:
    return [weight.numpy() for layer in model.layers for weight in layer.weights]


@pytest.mark.data
def test_an_application_of_keras_downloads_through_us(
    server: Server, home: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tf_keras.src.applications import mobilenet_v2
    from tf_keras.src.utils import data_utils

    source = data_dir / "weights" / "imagenet_keras" / "mobilenet_v2_1.0_224_notop_dequantised.h5"
    name = "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_96_no_top.h5"
    server.files[name] = source.read_bytes()
    monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", server.url)
    keras_own = data_utils.get_file
    first = _build("mobilenet_v2", "imagenet")
    assert data_utils.get_file is keras_own
    assert _same(first, _values(source))
    assert _left(home) == [name]
    monkeypatch.setattr(mobilenet_v2, "BASE_WEIGHT_PATH", CLOSED + "/")
    assert _same(_build("mobilenet_v2", "imagenet"), _values(source))
    assert server.asked == [f"/{name}"]


@pytest.mark.data
def test_squeezenet_downloads_its_file(
    server: Server, home: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dslite_plugins.backbones import squeezenet

    source = data_dir / "weights" / "imagenet_keras" / "squeezenet_v1.1_notop.h5"
    server.files[squeezenet.WEIGHTS_FILE] = source.read_bytes()
    monkeypatch.setattr(squeezenet, "WEIGHTS_URL", server.url + squeezenet.WEIGHTS_FILE)
    assert _same(_build("squeezenet_v1", "imagenet"), _values(source))
    assert _left(home) == [squeezenet.WEIGHTS_FILE]
    server.files[squeezenet.WEIGHTS_FILE] = server.files[squeezenet.WEIGHTS_FILE][:-1] + b"?"
    (home / squeezenet.WEIGHTS_FILE).unlink()
    with pytest.raises(DownloadError, match=f"expected {squeezenet.WEIGHTS_SHA256}, got "):
        _build("squeezenet_v1", "imagenet")


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("vgg16", "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        pytest.param("nasnet_mobile", "nasnet_mobile_no_top.h5", marks=pytest.mark.nightly),
        ("mobilenet:alpha=0.25", "mobilenet_2_5_224_tf_no_top.h5"),
        ("mobilenet_v2:alpha=0.35", "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5"),
        ("mobilenet_v3_small:alpha=0.75", "weights_mobilenet_v3_small_224_0.75_float_no_top_v2.h5"),
        ("efficientnet_b0", "efficientnetb0_notop.h5"),
        ("efficientnet_v2_b0", "efficientnetv2-b0_notop.h5"),
        ("squeezenet_v1", "squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    ],
)
def test_pictures_of_any_size_ask_for_the_weights_that_fit(
    home: Path, name: str, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in PROXIES:
        monkeypatch.setenv(variable, "" if variable == "no_proxy" else CLOSED)
    name, _, alpha = name.partition(":alpha=")
    options = {"alpha": float(alpha)} if alpha else {}
    with pytest.raises(DownloadError, match=f"weights {file}: not in .*: Connection refused; "):
        _build(name, "imagenet", 100, **options)


def test_the_downloader_of_keras_is_back_after_an_error() -> None:
    from tf_keras.src.utils import data_utils

    keras_own = data_utils.get_file
    with pytest.raises(ValueError, match="inside"), keras_downloads():
        raise ValueError("inside")
    assert data_utils.get_file is keras_own


@pytest.mark.parametrize(
    ("name", "alpha", "weight", "message"),
    [
        ("mobilenet", 0.6, "imagenet", "weights are there for 0.25, 0.5, 0.75, 1, got 0.6: take one of these"),
        ("mobilenet_v2", 2.0, "imagenet", "weights are there for 0.35, 0.5, 0.75, 1, 1.3, 1.4, got 2"),
        ("mobilenet_v3_large", 0.5, "imagenet", "weights are there for 0.75, 1, got 0.5"),
        ("mobilenet", 0.01, None, "mobilenet:alpha: expected a width of 0.05 to 4, got 0.01"),
        ("mobilenet_v2", -1.0, None, "got -1"),
        ("mobilenet_v3_small", float("nan"), None, "got nan"),
        ("mobilenet_v3_small", float("inf"), None, "got inf"),
    ],
)
def test_a_width_that_cannot_be_is_refused(name: str, alpha: float, weight: str | None, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        _build(name, weight, alpha=alpha)
    assert len(str(caught.value).splitlines()) == 1


def _export(backbone: str, weight: object, folder: Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    words = ("--backbone", backbone, "--weights", weight, "--exporter", "tflite-float32", "-o", folder / "m.tflite")
    return invoke("export", *words, **more)


def test_without_a_network_the_command_says_so_in_one_line(tmp_path: Path) -> None:
    environment = {"KERAS_HOME": str(tmp_path / "keras"), "http_proxy": CLOSED, "https_proxy": CLOSED, "no_proxy": ""}
    done = _export("densenet121", "imagenet", tmp_path, environment=environment)
    facts = (
        "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5: not in",
        "Connection refused; download it elsewhere",
    )
    assert_refused(done, *facts, code=1)
    assert not (tmp_path / "m.tflite").exists()


# -- weight files -----------------------------------------------------------------------------------------

SMALL = {"size": 32, "alpha": 0.25}
"""MobileNet with 218,544 parameters, quick to build and to write."""


@pytest.fixture(scope="module")
def small() -> Any:
    keras.utils.set_random_seed(7)
    return _build("mobilenet", None, **SMALL)


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file:UserWarning")
@pytest.mark.parametrize("name", ["w.h5", "w.weights.h5", "model.h5", "model.keras"])
def test_every_format_of_keras_loads(small: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    small.save_weights(path) if name.startswith("w.") else small.save(path)
    assert _same(_build("mobilenet", str(path), **SMALL), _in_order(small))


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5", ".keras"])
def test_a_file_that_does_not_fit_is_described(small: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"w{suffix}"
    with_top = keras.applications.MobileNet((32, 32, 3), alpha=0.25, weights=None, classes=10)
    wider = _build("mobilenet", None, size=32, alpha=0.5)
    text = "expected the 218,544 parameters of mobilenet:alpha=0.25 without its classifier, got"
    for model, message in (
        (with_top, f"{text} 221,114: it seems to hold the classifier too: save the model without it"),
        (wider, f"{text} {wider.count_params():,}, in other shapes: a file of another architecture, width or part"),
    ):
        model.save(path) if suffix == ".keras" else model.save_weights(path)
        with pytest.raises(ModelFileError) as caught:
            _build("mobilenet", str(path), **SMALL)
        assert str(caught.value).startswith(f"{path}: {message}")
        assert len(str(caught.value).splitlines()) == 1


def test_a_file_that_is_no_whole_weight_file_is_described(small: Any, tmp_path: Path) -> None:
    whole, keras_file = tmp_path / "whole.h5", tmp_path / "whole.keras"
    small.save_weights(whole)
    small.save(keras_file)
    for name, content, message in (
        ("cut.h5", whole.read_bytes()[:-1000], "got a damaged or truncated one of "),
        ("cut.keras", keras_file.read_bytes()[:-1000], "got a damaged or truncated one of "),
        ("text.h5", b"hello", "got something else"),
        ("other.h5", keras_file.read_bytes(), "needs a name that ends in .keras"),
        ("other.weights.h5", whole.read_bytes(), "needs a name that ends in .h5"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(ModelFileError, match=message) as caught:
            _build("mobilenet", str(path), **SMALL)
        assert len(str(caught.value).splitlines()) == 1
    h5py.File(tmp_path / "empty.weights.h5", "w").close()
    for name, message in (("empty.weights.h5", "got one without weights"), ("none.h5", "there is no such file")):
        with pytest.raises(ModelFileError, match=message):
            _build("mobilenet", str(tmp_path / name), **SMALL)


@pytest.mark.slow
def test_a_file_of_efficientnet_b0_gets_the_layer_that_keras_own_needs(tmp_path: Path) -> None:
    path = tmp_path / "w.h5"
    random = _build("efficientnet_b0", None, 32)
    random.save_weights(path)
    loaded = _build("efficientnet_b0", str(path), 32)
    assert _same(loaded, _in_order(random))

    def scaled(model: Any) -> Any:
        return keras.Model(model.input, model.get_layer("stem_conv_pad").output)(
            np.full((1, 32, 32, 3), 128, np.float32)
        )

    # ImageNet's standard deviations, by whose root Keras divides once more than its normalisation does
    inside = np.asarray(scaled(loaded) / scaled(random))[0, 1, 1]
    assert np.allclose(inside, [0.229**-0.5, 0.224**-0.5, 0.225**-0.5])


@pytest.mark.data
def test_the_command_refuses_a_file_of_another_backbone_in_one_line(data_dir: Path, tmp_path: Path) -> None:
    path = data_dir / "weights" / "imagenet_keras" / "mobilenet_v2_1.0_224_notop_dequantised.h5"
    told = "expected the 3,228,864 parameters of mobilenet:alpha=1.0 without its classifier, got 2,257,984"
    assert_refused(_export("mobilenet", path, tmp_path), told)
