"""Lambda's context object, with five minutes left."""

import time

_SECONDS = 300


class Context:
    """The attributes that the handlers use."""

    aws_request_id = "5b4c9d0e-7d3a-4c57-9a3e-0f6b6a1f2c11"
    function_name = "canceler"
    invoked_function_arn = "arn:aws:lambda:eu-west-1:123456789012:function:canceler"
    log_group_name = "/aws/lambda/canceler"
    log_stream_name = "2026/11/24"
    memory_limit_in_mb = 512

    def __init__(self) -> None:
        self._end = time.monotonic() + _SECONDS

    def get_remaining_time_in_millis(self) -> int:
        """Return the remaining time by the real clock."""
        return round((self._end - time.monotonic()) * 1000)
