"""A Hugging Face hub on the loopback interface: as much of it as its client asks for."""

import contextlib
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TOKEN = "hf_of_the_test"  # noqa: S105
COMMIT = "a" * 40
OTHER_COMMIT = "b" * 40
REPOSITORY = "laboratory/networks"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Lists revisions and sends files, whole or from a byte on."""

    def do_GET(self):
        hub = self.server
        path = unquote(urlsplit(self.path).path)
        hub.requests.append((path, {name.lower(): value for name, value in self.headers.items()}))
        if path.startswith("/elsewhere/"):
            self.send(hub.commits[COMMIT][path.removeprefix("/elsewhere/")])
        elif hub.is_private and self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.refuse(401, "RepoNotFound")
        elif hub.status:
            self.refuse(hub.status, hub.error_code)
        elif path.startswith(f"/api/models/{REPOSITORY}/revision/"):
            self.list_files(path.rpartition("/")[2])
        elif path.startswith(f"/{REPOSITORY}/resolve/"):
            commit, _, file = path.removeprefix(f"/{REPOSITORY}/resolve/").partition("/")
            self.send_file(commit, file)
        else:
            self.refuse(404, "RepoNotFound")

    def list_files(self, revision):
        commit = self.server.branches.get(revision, revision)
        if commit not in self.server.commits:
            self.refuse(404, "RevisionNotFound")
            return
        siblings = []
        for file, data in self.server.commits[commit].items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()
            entry = {"rfilename": file, "size": len(data), "blobId": blob}
            if file.endswith(".pt"):
                entry["lfs"] = {"sha256": sha256(data), "size": len(data), "pointerSize": 130}
            siblings.append(entry)
        listing = {"id": REPOSITORY, "sha": commit, "siblings": siblings}
        self.send(self.server.answer or json.dumps(listing).encode())

    def send_file(self, commit, file):
        data = self.server.commits[commit].get(file)
        if data is None:
            self.refuse(404, "EntryNotFound")
        elif self.server.redirect:
            self.send_response(302)
            self.send_header("Location", f"{self.server.redirect}/elsewhere/{file}")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif file in self.server.tampered:
            self.send(data[:-1] + b"!")
        elif file in self.server.cut:
            self.send(data, stop=self.server.cut.pop(file))
            self.server.status = 503  # until the test has seen the damage
        elif file in self.server.short:
            self.send(data[: self.server.short.pop(file)])
        else:
            self.send(data)

    def send(self, data, stop=None):
        first = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if first else 200)
        self.send_header("Content-Length", str(len(data) - first))
        if first:
            self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        self.wfile.write(data[first:stop])

    def refuse(self, status, code):
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *arguments):
        """Say nothing."""


@contextlib.contextmanager
def running_hub(files):
    """Serve files, by path, as the only commit of a branch 'main'."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        server.commits = {COMMIT: dict(files)}
        server.branches = {"main": COMMIT}
        server.requests, server.tampered = [], set()
        server.cut, server.short = {}, {}
        server.is_private, server.status, server.error_code = False, None, ""
        server.redirect, server.answer = None, None
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
