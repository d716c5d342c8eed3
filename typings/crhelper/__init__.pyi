# The part of crhelper 2.0.12 that lifecycle.py uses.

import threading
from collections.abc import Callable
from typing import Any

from handler.cancellation.rate import LambdaContext

SUCCESS: str
FAILED: str

# crhelper passes event and context. Lifecycle passes nothing, and lets the handler return any result.
type Handler = Callable[[], Any]

class CfnResource:
    Status: str
    Reason: str
    PhysicalResourceId: str
    Data: dict[str, str]
    _event: dict[str, object]
    _context: LambdaContext
    _timer: threading.Timer | None
    _init_failed: Exception | None

    def __init__(self, json_logging: bool, log_level: str, boto_level: str, *, sleep_on_delete: int) -> None: ...
    def __call__(self, event: dict[str, object], context: LambdaContext) -> None: ...
    def create(self, func: Handler) -> Handler: ...
    def update(self, func: Handler) -> Handler: ...
    def delete(self, func: Handler) -> Handler: ...
    def _wrap_function(self, func: Handler) -> None: ...
    def _cfn_response(self, event: dict[str, object]) -> None: ...
    def _set_timeout(self) -> None: ...
    def _timeout(self) -> None: ...
    def _send(self, status: str | None = None, reason: str = "", send_response: object = None) -> None: ...
