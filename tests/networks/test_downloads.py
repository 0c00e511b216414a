"""Fetching weights: once, whole, and with a quick word when it cannot be."""

import hashlib
import http.server
import io
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
from torchvision import models

from discerna.errors import DownloadError, OutputError
from discerna.networks import downloads

NETWORK = "squeezenet1_1"
ENTRY = models.SqueezeNet1_1_Weights.IMAGENET1K_V1


@pytest.fixture(scope="module")
def content() -> bytes:
    stream = io.BytesIO()
    torch.save(models.get_model(NETWORK, weights=None).state_dict(), stream)
    return stream.getvalue()


class Server:
    """Serves one file, in the way that a test asks for."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.requests: list[str] = []
        self.head_status = self.get_status = 200
        self.cut = 0
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status: int) -> None:
                outer.requests.append(self.command)
                self.send_response(status)
                self.send_header("Content-Length", str(len(outer.content)))
                self.end_headers()

            def do_HEAD(self) -> None:
                self.answer(outer.head_status)

            def do_GET(self) -> None:
                self.answer(outer.get_status)
                self.wfile.write(outer.content[: len(outer.content) - outer.cut])

            def log_message(self, *_: object) -> None:
                pass

        self.http = http.server.HTTPServer(("127.0.0.1", 0), Handler)
        self.url = (
            f"http://127.0.0.1:{self.http.server_port}/net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
        )


@pytest.fixture
def server(content: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    """A server that torchvision's address leads to; torch's cache is empty."""
    serving = Server(content)
    thread = threading.Thread(target=serving.http.serve_forever)
    thread.start()
    monkeypatch.setattr(downloads, "urlopen", urllib.request.urlopen)
    monkeypatch.setattr(ENTRY.value, "url", serving.url)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "hub"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    yield serving
    serving.http.shutdown()
    thread.join()
    serving.http.server_close()


class Bars:
    """Notes what is shown."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, int]] = []
        self.done = 0

    def task(self, name: str, total: int) -> Any:
        from contextlib import nullcontext

        self.shown.append((name, total))
        return nullcontext(self.advance)

    def advance(self, count: int, text: str) -> None:
        self.done += count


def test_a_download_is_kept(server: Server, create: Callable[..., Any], content: bytes, tmp_path: Path):
    bars = Bars()
    _, weights = create(NETWORK, pretrained=True, progress=bars)
    name = server.url.rpartition("/")[2]
    assert bars.shown == [(f"downloading {name}", len(content))]
    assert bars.done == len(content)
    assert server.requests == ["HEAD", "GET"]
    assert [path.name for path in (tmp_path / "hub" / "checkpoints").iterdir()] == [name]
    _, again = create(NETWORK, pretrained=True)
    assert server.requests == ["HEAD", "GET"], "the second time it lies there"
    assert torch.equal(weights["features.0.weight"], again["features.0.weight"])


def test_a_damaged_file_in_the_cache_is_fetched_again(
    server: Server,
    create: Callable[..., Any],
    content: bytes,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
):
    file = tmp_path / "hub" / "checkpoints" / server.url.rpartition("/")[2]
    file.parent.mkdir(parents=True)
    file.write_bytes(content[:-1])
    create(NETWORK, pretrained=True)
    assert file.read_bytes() == content
    assert "is damaged and is downloaded again" in caplog.text


def test_a_server_that_refuses_head(server: Server, create: Callable[..., Any]):
    server.head_status = 405
    create(NETWORK, pretrained=True)


def failed(create: Callable[..., Any], tmp_path: Path, *words: str) -> None:
    began = time.monotonic()
    with pytest.raises(DownloadError) as caught:
        create(NETWORK, pretrained=True)
    assert time.monotonic() - began < 10
    message = str(caught.value)
    for word in (*words, "pass pretrained=PATH/", ENTRY.url, ENTRY.url.rpartition("/")[2]):
        assert word in message, message
    assert not list((tmp_path / "hub").rglob("*.pth*")), "no half file is left"


def test_a_file_that_is_gone(server: Server, create: Callable[..., Any], tmp_path: Path):
    server.head_status = server.get_status = 404
    failed(create, tmp_path, "Not Found")


def test_a_line_that_breaks(server: Server, create: Callable[..., Any], tmp_path: Path):
    server.cut = 1000
    failed(create, tmp_path)


def test_what_is_not_the_file(server: Server, create: Callable[..., Any], tmp_path: Path):
    server.content = b"<html>please log in</html>"
    failed(create, tmp_path, "another SHA-256")


def test_a_cache_that_cannot_be_written(
    server: Server, create: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "file").touch()
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path / "file"))
    failed(create, tmp_path, "Not a directory")


def test_no_network(
    server: Server, create: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def offline(*_: object, **__: object) -> None:
        raise URLError(OSError(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(downloads, "urlopen", offline)
    failed(create, tmp_path, "Temporary failure in name resolution", "or pretrained=false")


def test_a_network_that_never_answers(
    server: Server, create: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    released = threading.Event()
    monkeypatch.setattr(downloads, "urlopen", lambda *_, **__: released.wait())
    monkeypatch.setattr(downloads, "PROBE_SECONDS", 0.2)
    failed(create, tmp_path, "no answer within 0.2 seconds")
    released.set()


def test_the_wait_is_short():
    assert downloads.PROBE_SECONDS <= 8
    assert issubclass(DownloadError, Exception) and not issubclass(DownloadError, OutputError)
