"""An environment of its own for every test, and a server on this machine that can fail in every way."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def users_data() -> Path | None:
    """``TENFOLD_DATA`` as the person set it who started the tests."""
    chosen = os.environ.get("TENFOLD_DATA")
    return Path(chosen) if chosen else None


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The development copies, or a skip that says so."""
    if not SHARED_DATA.is_dir():
        pytest.skip("no development copies of the data sets in ../shared/data")
    return SHARED_DATA


@pytest.fixture(autouse=True)
def cache(users_data: Path | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder, no ``TENFOLD_DATA``, and no proxy between a test and its server."""
    monkeypatch.delenv("TENFOLD_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    folder = tmp_path / "cache"
    monkeypatch.setenv("TENFOLD_CACHE", str(folder))
    return folder


@dataclass
class Server:
    """What the server gives: path -> body, or a status code, or (body, Content-Length that it claims)."""

    url: str = ""
    answers: dict[str, bytes | int | tuple[bytes, int]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append(self.path)
            answer = state.answers.get(self.path, 404)
            if isinstance(answer, int):
                self.send_error(answer)
                return
            body, length = answer if isinstance(answer, tuple) else (answer, len(answer))
            self.send_response(200)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            # A client that runs out of room hangs up in the middle.
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the tests read ``asked``."""

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.url = f"http://127.0.0.1:{listener.server_address[1]}/"
    # The default poll of half a second would be spent at the end of every test.
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield state
    listener.shutdown()
    listener.server_close()
    thread.join()
