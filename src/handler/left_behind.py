"""Jobs of a selection that an earlier delivery of the same event has cancelled, and that devices still run.

A cancelled job no longer matches a selection. But a teardown that is tried again has to wait for its devices, or end
their executions, as it had to the first time. What the job was cancelled with tells whose it was.
"""

from collections.abc import Container
from heapq import nlargest
from itertools import compress

from .errors import JobNotFound
from .job import JobStatus, JobSummary
from .parallel import in_parallel
from .request import CancelRequest
from .selection import GREENGRASS_NAMESPACE, Selecting

# Cancelled jobs stay listed for two years. Only those that changed last are asked for what they were cancelled with.
MOST_ASKED = 500


def left_behind(selecting: Selecting, request: CancelRequest, known: Container[str], affordable: int) -> list[str]:
    """Ids of the jobs that the selection means, apart from their status, and that this request has cancelled.

    They bear its reasonCode and comment, and have IN_PROGRESS executions. Those in `known` are left out. `affordable`
    is how many questions there is time for. Raises JobsError.
    """

    def is_ours(summary: JobSummary) -> bool:
        selecting.turn()
        try:
            job = selecting.listing.describe(summary.job_id)
        except JobNotFound:
            return False
        told = (job.reason_code, job.comment) == (request.reason_code, request.comment)
        is_meant = told and job.namespace != GREENGRASS_NAMESPACE
        return is_meant and job.executions_in_progress > 0 and selecting.passes(summary)

    listed = selecting.listing.list_jobs(JobStatus.CANCELED, selecting.turn)
    cancelled = (each for each in listed if each.job_id not in known and selecting.covers_canceled(each))
    latest = nlargest(min(MOST_ASKED, affordable), cancelled, key=lambda each: each.last_updated_at)
    return [each.job_id for each in compress(latest, in_parallel(is_ours, latest))]
