"""What a cancel without force leaves: executions that devices have started. CancelJob can't end them any more."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from .errors import ExecutionEnded, JobNotCancelable, JobNotFound, JobsError, JobsUnavailable, OutOfTime
from .parallel import in_parallel
from .timing import Turn

# Listed at a time: more than an invocation can cancel at the service's default quota.
MOST = 3000


class Executions(Protocol):
    """The part of the IoT Jobs API that knows the executions of a job. Every method raises JobsError."""

    def running(self, job_id: str, turn: Turn) -> Iterator[str]:
        """ListJobExecutionsForJob: the things whose executions are IN_PROGRESS. `turn` is called before each page."""

    def cancel_execution(self, job_id: str, thing_name: str) -> None:
        """CancelJobExecution, with force."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How many executions have ended, and why one of them, if any, could not be ended for good."""

    ended: int
    refusal: JobsError | None


def end_executions(executions: Executions, job_id: str, turn: Turn) -> Ending:
    """Cancel them one by one, each in its turn, not more than MOST: there may be others.

    One that has ended meanwhile is as it should be, and one that can't be had just now does not hold up the others.
    Raises JobsError.
    """

    def end(thing_name: str) -> JobsError | None:
        turn()
        try:
            executions.cancel_execution(job_id, thing_name)
        except (ExecutionEnded, JobNotFound):
            return None
        except OutOfTime:
            raise
        except (JobNotCancelable, JobsUnavailable) as error:
            return error
        return None

    problems = in_parallel(end, islice(executions.running(job_id, turn), MOST))
    refusals = (problem for problem in problems if isinstance(problem, JobNotCancelable))
    return Ending(problems.count(None), next(refusals, None))
