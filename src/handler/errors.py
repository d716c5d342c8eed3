"""The errors of iot-job-canceler.

CancelerError
├── RequestRejected         the event asks for what is not allowed, or can't be read; nothing was done
├── InvalidConfiguration    an environment variable of the function can't be read
├── BacklogRefused          a queue of the function's own does not take its message
│       └── BacklogUnavailable  and may later: throttled, out of order or out of reach, after the SDK's own attempts
├── ResponseUndelivered     CloudFormation did not take the answer, so the event has to be delivered again
└── JobsError               what the IoT Jobs API answered, by its meaning
    ├── JobNotFound
    ├── JobNotCancelable    the job's state, or the request, does not allow it: read the job again
    │       └── ExecutionEnded  there is nothing left to cancel
    ├── AccessDenied
    └── JobsUnavailable     throttled, out of order or out of reach, after the SDK's own attempts
            └── OutOfTime       there is no time for the call in this invocation
"""


class CancelerError(Exception):
    """Base of every error that this program raises on purpose."""


class RequestRejected(CancelerError):
    """Bad input. `field` is where it stands; `allowed` is what may stand there."""

    def __init__(self, field: str, allowed: str) -> None:
        super().__init__(f"{field}: {allowed}")
        self.field = field
        self.allowed = allowed


class InvalidConfiguration(CancelerError):
    """`variable` is the environment variable that can't be read; `allowed` is what it may hold."""

    def __init__(self, variable: str, allowed: str) -> None:
        super().__init__(f"environment variable {variable}: {allowed}")
        self.variable = variable


class BacklogRefused(CancelerError):
    """SQS does not take a message: the queue, its key or the permission is not what it was."""


class BacklogUnavailable(BacklogRefused):
    """It did not take it now, or nobody knows whether it did: the same call may work later."""


class ResponseUndelivered(CancelerError):
    """No 2xx from ResponseURL within the attempts and the time that there were."""


class JobsError(CancelerError):
    """An IoT Jobs call failed. `code` is the service's error code, or the name of the SDK's exception."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class JobNotFound(JobsError):
    """There is no such job (any more)."""


class JobNotCancelable(JobsError):
    """The service refused to cancel the job as it is. Its message is for people: the job's status decides."""


class ExecutionEnded(JobNotCancelable):
    """The execution, or job, has come to its end meanwhile."""


class AccessDenied(JobsError):
    """IAM refused the call."""


class JobsUnavailable(JobsError):
    """Throttled, failing or unreachable: the same call may work later."""


class OutOfTime(JobsUnavailable):
    """The invocation would end before the call is sure to have ended."""

    def __init__(self) -> None:
        super().__init__("OutOfTime", "no time left in this invocation")
