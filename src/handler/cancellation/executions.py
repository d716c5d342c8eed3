"""End the executions that a cancellation without force leaves running. CancelJob cannot end them afterwards."""

from itertools import islice
from typing import NamedTuple

from handler.cancellation.job import JobsApi
from handler.cancellation.parallel import in_parallel
from handler.errors import ExecutionEnded, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable

# One invocation cannot cancel more at the service's default quota.
MAX_EXECUTIONS = 3000


class EndedExecutions(NamedTuple):
    """How many executions have ended, and why one of them, if any, could not be canceled."""

    ended: int
    refusal: JobsError | None


def end_executions(api: JobsApi, job_id: str) -> EndedExecutions:
    """Cancel up to MAX_EXECUTIONS running executions of a job, one by one.

    An execution that ended in between counts as ended. An error of one execution does not stop the others: without time
    for more calls, the result counts the executions that have ended until then. Raises JobsError.
    """

    def end(thing_name: str) -> JobsError | None:
        try:
            api.cancel_execution(job_id, thing_name)
        except (ExecutionEnded, JobNotFound):
            return None
        except (JobNotCancelable, JobsUnavailable) as error:
            return error
        return None

    errors = in_parallel(end, islice(api.running_things(job_id), MAX_EXECUTIONS))
    refusals = (error for error in errors if isinstance(error, JobNotCancelable))
    return EndedExecutions(errors.count(None), next(refusals, None))
