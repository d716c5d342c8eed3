"""Sockets without a network: every https connection of this process ends in one function, which simulates the services.

All above the socket is real: urllib3, botocore with its retries, the handler's adapters.
"""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast, override
from urllib.parse import SplitResult, urlsplit

import pytest
from urllib3.connection import HTTPSConnection

type Serve = Callable[["Request", float], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it arrived. Header names are in lower case."""

    method: str
    url: SplitResult
    headers: Mapping[str, str]
    body: bytes


def response(status: int, body: bytes = b"", *, headers: Mapping[str, str] | None = None, announced: int = 0) -> bytes:
    """An HTTP response; `announced` is the number of missing bytes of its body. The connection ends with it."""
    lines = [f"HTTP/1.1 {status} Status", f"Content-Length: {len(body) + announced}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


class _Socket:
    """What http.client needs of a socket. The request is served when its response is first read."""

    def __init__(self, host: str, serve: Serve) -> None:
        self._host = host
        self._serve = serve
        self._sent = b""
        self._timeout = 0.0

    def sendall(self, data: bytes) -> None:
        self._sent += data

    def settimeout(self, seconds: float) -> None:
        self._timeout = seconds

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_ResponseStream(lambda: self._serve(_parsed(self._host, self._sent), self._timeout)))

    def close(self) -> None:
        """Do nothing: no socket is open."""


class _ResponseStream(io.RawIOBase):
    """Serves the request when the first byte is read, which may raise what a socket raises."""

    def __init__(self, serve: Callable[[], bytes]) -> None:
        super().__init__()
        self._serve = serve
        self._bytes: io.BytesIO | None = None

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Any, /) -> int:
        if self._bytes is None:
            self._bytes = io.BytesIO(self._serve())
        return self._bytes.readinto(buffer)


def _parsed(host: str, raw: bytes) -> Request:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Request(method, urlsplit(f"https://{host}{target}"), headers, body)


@contextmanager
def all_served_by(serve: Serve) -> Iterator[None]:
    """Let `serve` handle every https connection, with the request and its read timeout in seconds."""

    def connect(connection: HTTPSConnection) -> None:
        connection.sock = cast("Any", _Socket(connection.host, serve))  # as much of a socket as is used
        connection.is_verified = True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HTTPSConnection, "connect", connect)
        yield
