"""The errors of iot-job-canceler.

CancelerError
├── RequestRejected         the event is unreadable or not allowed; nothing was done
├── InvalidConfiguration    an environment variable of the function is unreadable
├── EnqueueRefused          a queue of the function does not accept a message
│       └── EnqueueUnavailable  but may later: throttled, failing or unreachable, after the SDK's own attempts
├── VisibilityUnchanged     SQS did not change the visibility timeout of a message
│       └── MessageNotInFlight  it has expired: another invocation has the message, or will have it
├── ResponseUndelivered     CloudFormation did not accept the response, so the event must be redelivered
├── TeardownFailed          Terraform, or the function that relays a custom resource request, must fail
└── JobsError               an error of the IoT Jobs API, translated
    ├── JobNotFound
    ├── JobNotCancelable    the job's state, or the request, does not allow it: read the job again
    │       └── ExecutionEnded  nothing is left to cancel
    ├── AccessDenied
    └── JobsUnavailable     throttled, failing or unreachable, after the adapter's own attempts
            └── OutOfTime       the invocation has no time for the call
"""


class CancelerError(Exception):
    """Base of every error that this program raises on purpose."""


class RequestRejected(CancelerError):
    """Bad input: `field` names its place, `allowed` says what is allowed there."""

    def __init__(self, field: str, allowed: str, *keys: str) -> None:
        """`allowed` is followed by `keys`. Field and keys are spelled as in a request."""
        self.field = field
        self.allowed = f"{allowed}{', '.join(keys)}"
        self._text = allowed
        self._keys = keys
        super().__init__(f"{field}: {self.allowed}")

    def in_template_spelling(self) -> "RequestRejected":
        """Return the same rejection for the author of a template, where `select.jobIdGlob` is Select.JobIdGlob."""
        field = ".".join(map(_property_name, self.field.split(".")))
        return RequestRejected(field, self._text, *map(_property_name, self._keys))


def _property_name(key: str) -> str:
    return key[:1].upper() + key[1:]


class InvalidConfiguration(CancelerError):
    """`variable` is the unreadable environment variable; `allowed` says what it may contain."""

    def __init__(self, variable: str, allowed: str) -> None:
        super().__init__(f"environment variable {variable}: {allowed}")
        self.variable = variable


class EnqueueRefused(CancelerError):
    """SQS refuses a message, because of the queue, its key or a permission."""


class EnqueueUnavailable(EnqueueRefused):
    """SQS did not accept a message, or its response was lost: the same call may work later."""


class VisibilityUnchanged(CancelerError):
    """SQS did not change a visibility timeout, or its response was lost: the message is redelivered when it ends."""


class MessageNotInFlight(VisibilityUnchanged):
    """The visibility timeout of the message has expired, or the message is deleted."""


class ResponseUndelivered(CancelerError):
    """ResponseURL returned no 2xx status within the attempts and the time available."""


class TeardownFailed(CancelerError):
    """A request of Terraform failed, or one of CloudFormation that another function relays. Both read only errors."""


class JobsError(CancelerError):
    """An IoT Jobs call failed. `code` is the service's error code, or the name of the SDK's exception."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class JobNotFound(JobsError):
    """The job does not exist, or no longer."""


class JobNotCancelable(JobsError):
    """The service refused to cancel the job in its state. Its message is for people: the job's status decides."""


class ExecutionEnded(JobNotCancelable):
    """The execution, or the job, has ended in between."""


class AccessDenied(JobsError):
    """IAM refused the call."""


class JobsUnavailable(JobsError):
    """Throttled, failing or unreachable: the same call may work later."""


class OutOfTime(JobsUnavailable):
    """The call might not end before the invocation does."""

    def __init__(self) -> None:
        super().__init__("OutOfTime", "no time left in this invocation")
