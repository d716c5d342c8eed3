"""What Lambda loads: the function, wired before its first event, while an init has more CPU than an invocation."""

import gc

gc.disable()  # nothing of what is imported is garbage, and to look for some takes a twentieth of a cold start

from .app import lambda_handler, wire  # noqa: E402 - after that

wire()
gc.freeze()
gc.enable()

__all__ = ["lambda_handler"]
