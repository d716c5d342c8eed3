"""The answer to CloudFormation: its shape, where it may go, and getting it there. The only HTTP client."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3

from .timing import Deadline, Sleep

# It logs the whole path of a request, and the query string of ResponseURL is a secret.
logging.getLogger("urllib3.connectionpool").disabled = True

MAX_BODY = 4096  # bytes: "The response body can't exceed 4096 bytes" (CloudFormation, custom resource responses)
ATTEMPTS = 6
_CONNECT_TIMEOUT = 2.0  # seconds
_READ_TIMEOUT = 3.0  # seconds
# Nothing that two readers of a URL could understand in two ways, such as a backslash.
_HOST_NAME = re.compile(r"[a-z0-9.:-]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def response_body(fields: Mapping[str, object], reason: str, where: str) -> bytes:
    """`fields` and a Reason as JSON of at most MAX_BODY bytes. `reason` gives way; `where` to look stays behind it."""
    told, cut = reason, ""
    while True:
        body = json.dumps({**fields, "Reason": f"{told}{cut} ({where})" if reason else ""}).encode()
        if len(body) <= MAX_BODY or not told:
            return body
        told, cut = told[: -max(1, (len(body) - MAX_BODY) // 12)], "..."  # an emoji takes twelve bytes in JSON


def may_answer(url: str, url_suffix: str, endpoint_url: str | None) -> bool:
    """True for an https URL under the partition's URL suffix, and for the host of a local AWS where one is set."""
    try:
        target, local = urlsplit(url), urlsplit(endpoint_url or "")
        if target.username is not None or target.hostname is None or not _HOST_NAME.fullmatch(target.hostname):
            return False
        if target.scheme == "https" and target.hostname.endswith(f".{url_suffix}"):
            return True
        is_local = _host(target.hostname, target.port) == _host(local.hostname, local.port)
    except ValueError:  # urlsplit: not a URL, or not a port
        return False
    return is_local and target.scheme in {"http", "https"}


def _host(name: str | None, port: int | None) -> tuple[str | None, int | None]:
    return ("localhost" if name in _LOOPBACK else name), port


@dataclass(frozen=True, slots=True)
class Responder:
    """Sends a body, again and again within bounds. `uniform(a, b)` draws the jitter, in seconds."""

    http: urllib3.PoolManager
    sleep: Sleep
    uniform: Callable[[float, float], float]

    def deliver(self, url: str, body: bytes, deadline: Deadline) -> str:
        """PUT `body` to `url` until it answers 2xx. Returns "" then, else what went wrong last, without the URL."""
        problem = "no time left"
        for attempt in range(ATTEMPTS):
            wait = self.uniform(0, 2.0**attempt / 2) if attempt else 0.0
            if not deadline.allows(wait):
                break
            self.sleep(wait)
            problem = self._put(url, body, deadline.remaining)
            if not problem:
                break
        return problem

    def _put(self, url: str, body: bytes, remaining: float) -> str:
        timeout = urllib3.Timeout(connect=_CONNECT_TIMEOUT, read=_READ_TIMEOUT, total=max(0.1, remaining))
        try:
            response = self.http.request(
                "PUT",
                url,
                body=body,
                headers={"Content-Type": ""},
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,  # the status is all that matters, and a body could drip for ever
            )
            response.close()
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__  # its text may hold the URL
        return "" if 200 <= response.status < 300 else f"HTTP {response.status}"  # noqa: PLR2004
