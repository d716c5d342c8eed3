"""The response to CloudFormation: its shape, the hosts it may go to, and its delivery. The only HTTP client."""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import urllib3

from handler.cancellation.rate import Deadline, Sleep

# It logs the whole path of a request, and the query string of ResponseURL is a secret.
logging.getLogger("urllib3.connectionpool").disabled = True

MAX_BODY_BYTES = 4096  # "The response body can't exceed 4096 bytes" (CloudFormation, custom resource responses)
MAX_ATTEMPTS = 6
_CONNECT_TIMEOUT_SECONDS = 2.0
_READ_TIMEOUT_SECONDS = 3.0
# No character that two readers of a URL could interpret in two ways, such as a backslash.
_HOST_NAME = re.compile(r"[a-z0-9.:-]+")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


def response_body(fields: Mapping[str, object], reason: str, log_location: str) -> bytes:
    """Return `fields` and a Reason as JSON of at most MAX_BODY_BYTES.

    A long `reason` is cut; `log_location`, which says where to read more, always follows it.
    """
    shown, ellipsis = reason, ""
    while True:
        body = json.dumps({**fields, "Reason": f"{shown}{ellipsis} ({log_location})" if reason else ""}).encode()
        if len(body) <= MAX_BODY_BYTES or not shown:
            return body
        shown, ellipsis = shown[: -max(1, (len(body) - MAX_BODY_BYTES) // 12)], "..."  # an emoji is 12 bytes in JSON


def is_allowed_url(url: str, url_suffix: str, endpoint_url: str | None) -> bool:
    """Return True for an https URL under the partition's URL suffix, and for the host of a local AWS if one is set."""
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
    """Sends a response, with bounded retries. `uniform(a, b)` draws the jitter, in seconds."""

    http: urllib3.PoolManager
    sleep: Sleep
    uniform: Callable[[float, float], float]

    def deliver(self, url: str, body: bytes, deadline: Deadline) -> str:
        """PUT `body` to `url` until the status is 2xx. Returns an empty string, or the last error without the URL."""
        error = "no time left"
        for attempt in range(MAX_ATTEMPTS):
            backoff = self.uniform(0, 2.0**attempt / 2) if attempt else 0.0
            if not deadline.allows(backoff):
                break
            self.sleep(backoff)
            error = self._put(url, body, deadline.remaining)
            if not error:
                break
        return error

    def _put(self, url: str, body: bytes, remaining: float) -> str:
        timeout = urllib3.Timeout(
            connect=_CONNECT_TIMEOUT_SECONDS, read=_READ_TIMEOUT_SECONDS, total=max(0.1, remaining)
        )
        try:
            response = self.http.request(
                "PUT",
                url,
                body=body,
                headers={"Content-Type": ""},
                timeout=timeout,
                retries=False,
                redirect=False,
                preload_content=False,  # only the status matters, and a body could be sent without end
            )
            response.close()
        except urllib3.exceptions.HTTPError as error:
            return type(error).__name__  # its text may contain the URL
        return "" if 200 <= response.status < 300 else f"HTTP {response.status}"  # noqa: PLR2004
