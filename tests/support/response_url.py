"""CloudFormation's ResponseURL: in memory, and as a real HTTP server on a free port of 127.0.0.1."""

import json
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self, cast, override

import urllib3

from tools.simulators.events import RESPONSE_HOST


@dataclass(frozen=True)
class Received:
    """One request as it arrived. `target` is the path and the query string; in memory, the whole URL."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def response(self) -> dict[str, Any]:
        """The response to CloudFormation in the body."""
        response: dict[str, Any] = json.loads(self.body)
        return response


@dataclass(frozen=True)
class Redirect:
    """Respond with this 3xx status and Location."""

    status: int
    location: str


# HANG: never respond. CLOSE: end the connection without a response. SLOW_HEADERS: begin a response and never end its
# headers. ENDLESS_BODY: respond 200 and never end the body.
type Step = int | Redirect | Literal["HANG", "CLOSE", "SLOW_HEADERS", "ENDLESS_BODY"]


class ResponseUrl:
    """Takes one step of `script` for each request, and the last one for every further request.

    Attributes:
        url: where it is, without a path.
        received: the requests in order.
        on_request: called with each request before it is recorded.
    """

    url: str

    def __init__(self, script: Sequence[Step] = (200,)) -> None:
        self.script: Sequence[Step] = script
        self.received: list[Received] = []
        self.on_request: Callable[[Received], None] | None = None

    @property
    def responses(self) -> list[dict[str, Any]]:
        """The responses to CloudFormation."""
        return [request.response for request in self.received]

    def take(self, request: Received) -> Step:
        """Record a request, and return the step for it."""
        if self.on_request:
            self.on_request(request)
        self.received.append(request)
        return self.script[min(len(self.received), len(self.script)) - 1]


class FakePool(ResponseUrl):
    """A connection pool of urllib3 whose every request is taken in memory. A step is a status."""

    url = f"https://{RESPONSE_HOST}"

    @property
    def pool(self) -> urllib3.PoolManager:
        return cast("urllib3.PoolManager", self)

    def request(self, method: str, url: str, *, body: bytes, headers: Mapping[str, str], **_options: object) -> Any:
        assert (method, dict(headers)) == ("PUT", {"Content-Type": ""})
        return urllib3.HTTPResponse(status=cast("int", self.take(Received(method, url, headers, body))))


class ResponseServer(ResponseUrl):
    """A real HTTP server. `arrived` is set once a request was read."""

    def __init__(self, script: Sequence[Step] = (200,)) -> None:
        super().__init__(script)
        self.arrived = threading.Event()
        self._stopping = threading.Event()
        self._server = _Server(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                step = outer.take(Received(self.command, self.path, dict(self.headers.items()), body))
                outer._respond(step, self)

            @override
            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler

    def _respond(self, step: Step, handler: BaseHTTPRequestHandler) -> None:
        self.arrived.set()
        match step:
            case "HANG":
                self._stopping.wait()
            case "SLOW_HEADERS":
                handler.wfile.write(b"HTTP/1.0 200 OK\r\nServer: Ama")
                self._stopping.wait()
            case "ENDLESS_BODY":
                handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\nbody")
                self._stopping.wait()
            case "CLOSE":
                pass
            case Redirect(status, location):
                handler.send_response(status)
                handler.send_header("Location", location)
                handler.end_headers()
            case status:
                handler.send_response(status)
                handler.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # so that server_close waits for the requests in progress

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore clients that closed the connection: some tests are about them."""


def closed_port_url() -> str:
    """Find a URL on this machine where no server listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"
