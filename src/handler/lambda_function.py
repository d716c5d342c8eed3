"""What Lambda loads: the function, wired in the init phase, which has more CPU than an invocation.

It loads with any configuration: of an invalid one, the handler can still respond to CloudFormation.
"""

import gc

gc.disable()  # imports create no garbage, and searching for it takes a twentieth of a cold start

from handler.app import lambda_handler, wire  # noqa: E402 - after that

wire()
gc.freeze()
gc.enable()

__all__ = ["lambda_handler"]
