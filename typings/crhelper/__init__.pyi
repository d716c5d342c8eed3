# The part of crhelper 2.0.12 that custom_resource.py stands on.

import threading
from collections.abc import Callable

from handler.timing import LambdaContext

SUCCESS: str
FAILED: str

type Handler = Callable[[object, object], str]

class CfnResource:
    Status: str
    Reason: str
    PhysicalResourceId: str
    Data: dict[str, str]
    _event: dict[str, object]
    _context: LambdaContext
    _timer: threading.Timer | None

    def __init__(self, json_logging: bool, log_level: str, boto_level: str, *, sleep_on_delete: int) -> None: ...
    def __call__(self, event: dict[str, object], context: LambdaContext) -> None: ...
    def create(self, func: Handler) -> Handler: ...
    def update(self, func: Handler) -> Handler: ...
    def delete(self, func: Handler) -> Handler: ...
    def _wrap_function(self, func: Handler) -> None: ...
    def _set_timeout(self) -> None: ...
    def _timeout(self) -> None: ...
    def _send(self, status: str | None = None, reason: str = "", send_response: object = None) -> None: ...
