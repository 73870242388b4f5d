"""The real download client against a server on the loopback interface."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from insilico.errors import DownloadError
from insilico.models.hub import fetch

CONTENT = bytes(range(256)) * 2000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.hits.append(self.path)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        body = CONTENT if "tampered" not in self.path else CONTENT[:-1] + b"!"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if "cut-off" in self.path else body)

    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.hits = []
        running.url = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_good_file_is_downloaded_once(server, tmp_path):
    path = fetch(f"{server.url}/weights.pth", sha256=SHA256, cache=tmp_path)
    assert path.read_bytes() == CONTENT
    assert path.name == f"{SHA256[:8]}-weights.pth"
    assert fetch(f"{server.url}/weights.pth", sha256=SHA256, cache=tmp_path) == path
    assert server.hits == ["/weights.pth"]
    assert files(tmp_path) == [path]


def test_damaged_file_in_the_cache_is_downloaded_again(server, tmp_path):
    path = fetch(f"{server.url}/weights.pth", sha256=SHA256, cache=tmp_path)
    path.write_bytes(b"damaged")
    fetch(f"{server.url}/weights.pth", sha256=SHA256, cache=tmp_path)
    assert path.read_bytes() == CONTENT
    assert len(server.hits) == 2


@pytest.mark.parametrize(
    ("path", "phrase"),
    [
        ("cut-off.pth", "was cut off"),
        ("tampered.pth", "SHA-256 is not the pinned"),
        ("missing.pth", "HTTP status 404"),
    ],
)
def test_bad_download_is_one_sentence_and_leaves_nothing(server, tmp_path, path, phrase):
    with pytest.raises(DownloadError, match=phrase):
        fetch(f"{server.url}/{path}", sha256=SHA256, cache=tmp_path)
    assert files(tmp_path) == []


def test_refused_connection_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(DownloadError, match="cannot be reached"):
            fetch(f"http://127.0.0.1:{port}/weights.pth", sha256=SHA256, cache=tmp_path)
    assert files(tmp_path) == []


def test_offline_uses_the_cache_and_else_says_so(server, tmp_path):
    address = f"{server.url}/weights.pth"
    with pytest.raises(DownloadError, match=r"is not in the cache .* without --offline"):
        fetch(address, sha256=SHA256, cache=tmp_path, offline=True)
    path = fetch(address, sha256=SHA256, cache=tmp_path)
    assert fetch(address, sha256=SHA256, cache=tmp_path, offline=True) == path
    assert len(server.hits) == 1
    path.write_bytes(b"damaged")
    with pytest.raises(DownloadError, match="is not in the cache"):
        fetch(address, sha256=SHA256, cache=tmp_path, offline=True)


def test_address_that_is_none_is_refused(tmp_path):
    with pytest.raises(DownloadError, match="check the address"):
        fetch("not-an-address", sha256=SHA256, cache=tmp_path)


def test_cache_that_cannot_be_written_is_one_sentence(server, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DownloadError, match="cannot be written"):
        fetch(f"{server.url}/weights.pth", sha256=SHA256, cache=tmp_path / "file")


def test_progress_is_drawn_on_stderr_only(server, tmp_path, capsys):
    fetch(f"{server.url}/weights.pth", sha256=SHA256, cache=tmp_path, progress=True)
    assert capsys.readouterr().out == ""
