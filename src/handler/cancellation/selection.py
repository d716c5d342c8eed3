"""Select jobs: cheap filters first, calls for single jobs last, and only where the criteria need them."""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from heapq import nlargest
from itertools import compress
from typing import NamedTuple

from handler.cancellation.criteria import OTA_PREFIX, Criteria
from handler.cancellation.job import ACTIVE_STATUSES, Job, JobsApi, JobStatus, JobSummary
from handler.cancellation.parallel import in_parallel
from handler.cancellation.report import ExcludedJob
from handler.cancellation.request import CancelRequest
from handler.cancellation.session import Session
from handler.errors import JobNotFound, OutOfTime, RequestRejected

GREENGRASS_NAMESPACE = "aws-gg-deployment"  # Greengrass deployments are jobs in it. Their own service cancels them.
_UNUSED_NAMESPACE = "iot-job-canceler-probe"
# Canceled jobs stay listed for two years: an account can have more than a run can list. Of the time left, a quarter is
# for listing them, and half for describing those that changed last.
MAX_EARLIER_CANCELLATIONS = 500
_LISTING_SHARE, _DESCRIBING_SHARE = 0.25, 0.5
MAX_EXCLUDED = 100


class Selection(NamedTuple):
    """The selected jobs, and the first of those that a user might expect among them."""

    jobs: tuple[JobSummary, ...]
    excluded: tuple[ExcludedJob, ...]


class EarlierCancellations(NamedTuple):
    """The ids of jobs that an earlier attempt canceled and that devices still run. `is_complete`: all were found."""

    job_ids: tuple[str, ...]
    is_complete: bool


def select(
    session: Session, criteria: Criteria, max_jobs: int | None = None, *, known: Container[str] = ()
) -> Selection:
    """List the active jobs, and return those that match and are not `known`, for which no call is made.

    With `max_jobs`, the job limit, the selection is the first one of an event. Then it raises RequestRejected if it
    needs more calls for single jobs than half of the longest run has time for. If it has more jobs than the limit, jobs
    whose rollout is too recent are removed; else they are removed when they are described, before they are canceled.
    Raises JobsError: a listing or a call that failed is never an empty selection.
    """
    call_budget = None if max_jobs is None else session.gate.call_budget()
    excluded: list[ExcludedJob] = []

    def exclude(job_id: str, why: str) -> None:
        if len(excluded) < MAX_EXCLUDED:
            excluded.append(ExcludedJob(job_id, why))

    candidates, scheduled = _candidates(session, criteria, known, exclude)
    for job_id in _greengrass_deployments(session.api, candidates, criteria, call_budget):
        exclude(job_id, "owned by AWS IoT Greengrass")
        del candidates[job_id]
    matching = list(_with_tags_and_targets(session.api, candidates.values(), criteria, call_budget))
    if max_jobs is not None and criteria.older_than_hours:
        planned = [summary for summary in matching if summary.job_id in scheduled]
        too_recent = _too_recent_for_the_limit(session, matching, planned, criteria, max_jobs)
        for job_id, why in too_recent.items():
            exclude(job_id, why)
        matching = [summary for summary in matching if summary.job_id not in too_recent]
    return Selection(tuple(matching), tuple(excluded))


def _candidates(
    session: Session, criteria: Criteria, known: Container[str], exclude: Callable[[str, str], None]
) -> tuple[dict[str, JobSummary], set[str]]:
    """Return the active jobs that match by what a listing returns, and the ids of those that are SCHEDULED."""
    now = session.utc_now()
    candidates: dict[str, JobSummary] = {}
    scheduled: set[str] = set()
    for status in criteria.statuses:
        for summary in session.api.list_jobs(status):
            if summary.job_id in known or not _is_in_scope(summary, criteria, session.limits.job_id_prefix):
                continue
            if summary.job_id.startswith(OTA_PREFIX):
                exclude(summary.job_id, "owned by FreeRTOS over-the-air updates")
            elif not criteria.is_older(_age_starts_at(summary, criteria), now):
                exclude(summary.job_id, f"not older than {criteria.older_than_hours:g} h")
            else:
                candidates[summary.job_id] = summary
                (scheduled.add if status is JobStatus.SCHEDULED else scheduled.discard)(summary.job_id)
    return candidates, scheduled


def earlier_cancellations(
    session: Session, criteria: Criteria, request: CancelRequest, known: Container[str]
) -> EarlierCancellations:
    """Find the jobs that an earlier attempt of this request canceled and that devices still run.

    A canceled job no longer matches a selection, but a teardown that is retried has to wait for its devices, or end
    their executions, as the first delivery had to. Such a job has the request's reasonCode and comment. Jobs in `known`
    are omitted. The search is bounded in time and in number, and raises OutOfTime if a later delivery may find more.
    Raises JobsError.
    """
    now = session.utc_now()

    def is_in_scope(summary: JobSummary) -> bool:
        """A canceled job was last updated when it was canceled, so only `createdAt` still gives its age."""
        return (
            summary.job_id not in known
            and not summary.job_id.startswith(OTA_PREFIX)
            and _is_in_scope(summary, criteria, session.limits.job_id_prefix)
            and (criteria.age_from != "createdAt" or criteria.is_older(summary.created_at, now))
        )

    def was_canceled_by_request(summary: JobSummary) -> bool:
        job = session.api.describe(summary.job_id)
        return (
            (job.reason_code, job.comment) == (request.reason.reason_code, request.reason.comment)
            and job.namespace != GREENGRASS_NAMESPACE
            and job.has_running_executions
            and _matches_tags_and_targets(session.api, summary, criteria, job)
        )

    deadline, _ = session.gate.share_of_time(_LISTING_SHARE)
    has_time, calls = session.gate.has_half_of_a_run(), session.gate.share_of_time(_DESCRIBING_SHARE)[1]
    if not calls:
        raise OutOfTime
    in_scope, is_listed = 0, True

    def canceled() -> Iterator[JobSummary]:
        nonlocal in_scope, is_listed
        for summary in session.api.list_jobs(JobStatus.CANCELED):
            if deadline.remaining <= 0:
                is_listed = False
                return
            if is_in_scope(summary):
                in_scope += 1
                yield summary

    latest = nlargest(min(MAX_EARLIER_CANCELLATIONS, calls), canceled(), key=lambda summary: summary.last_updated_at)
    is_complete = is_listed and in_scope == len(latest)
    if not is_complete and not has_time:
        raise OutOfTime  # a later delivery may have more time
    found = _filtered(was_canceled_by_request, latest)
    return EarlierCancellations(tuple(summary.job_id for summary in found), is_complete)


def _is_in_scope(summary: JobSummary, criteria: Criteria, prefix: str) -> bool:
    """Return True if a job matches, by what a listing returns, and apart from its age."""
    return (
        summary.job_id.startswith(prefix)
        and summary.target_selection in criteria.target_selections
        and (criteria.job_id_glob is None or fnmatchcase(summary.job_id, criteria.job_id_glob))
        and not any(fnmatchcase(summary.job_id, glob) for glob in criteria.exclude_job_id_globs)
    )


def _age_starts_at(summary: JobSummary, criteria: Criteria) -> datetime:
    return summary.created_at if criteria.age_from == "createdAt" else summary.last_updated_at


def _greengrass_deployments(
    api: JobsApi, candidates: Mapping[str, JobSummary], criteria: Criteria, call_budget: int | None
) -> list[str]:
    """Return the candidates that are Greengrass deployments: AWS does not say whether a plain listing returns those.

    A job in the namespace's listing is one, even if DescribeJob omitted the namespace. A listing that ignores the
    namespace (as a local AWS does) returns every job: then each job is described.
    """
    if not candidates:
        return []
    listed = dict.fromkeys(
        summary.job_id
        for status in ACTIVE_STATUSES  # both: a candidate may have begun its rollout since it was listed
        for summary in api.list_jobs(status, GREENGRASS_NAMESPACE)
        if summary.job_id in candidates
    )
    if not listed or not _ignores_namespaces(api, criteria):
        return list(listed)
    _check_call_budget(len(listed), call_budget)
    return _filtered(lambda job_id: api.describe(job_id).namespace == GREENGRASS_NAMESPACE, listed)


def _ignores_namespaces(api: JobsApi, criteria: Criteria) -> bool:
    """Return True if a listing returns jobs for a namespace that does not exist."""
    return any(next(api.list_jobs(status, _UNUSED_NAMESPACE), None) for status in criteria.statuses)


def _with_tags_and_targets(
    api: JobsApi, candidates: Iterable[JobSummary], criteria: Criteria, call_budget: int | None
) -> Iterable[JobSummary]:
    if not criteria.tags and criteria.thing_group_name is None:
        return candidates
    summaries = list(candidates)
    _check_call_budget(len(summaries), call_budget)
    return _filtered(lambda summary: _matches_tags_and_targets(api, summary, criteria), summaries)


def _too_recent_for_the_limit(
    session: Session, matching: list[JobSummary], planned: list[JobSummary], criteria: Criteria, max_jobs: int
) -> dict[str, str]:
    """Return the jobs that do not count toward the job limit since their rollout is too recent, and why.

    Below the limit none is described. `planned` are those that are SCHEDULED: they stay, and each delivery describes
    them again, so there must be time for that. If there is no time for the others, the others count.
    """
    _check_call_budget(len(planned), session.gate.call_budget())
    if len(matching) <= max_jobs:
        return {}
    has_time = len(matching) <= session.gate.call_budget()
    return _too_recent(session.api, matching if has_time else planned, criteria, session.utc_now())


def _too_recent(api: JobsApi, summaries: Iterable[JobSummary], criteria: Criteria, now: datetime) -> dict[str, str]:
    """Return the ids of the jobs whose rollout has not begun, or too recently, and why each is excluded."""
    reasons: dict[str, str] = {}

    def is_too_recent(summary: JobSummary) -> bool:
        reasons[summary.job_id] = criteria.why_too_recent(api.describe(summary.job_id).starts_at, now)
        return bool(reasons[summary.job_id])

    return {summary.job_id: reasons[summary.job_id] for summary in _filtered(is_too_recent, summaries)}


def _matches_tags_and_targets(api: JobsApi, summary: JobSummary, criteria: Criteria, job: Job | None = None) -> bool:
    """Targets come from DescribeJob: the listing's own filter has omitted SCHEDULED jobs (aws-cli #8924)."""
    if criteria.tags and not criteria.tags.items() <= api.tags(summary.arn).items():
        return False
    group = criteria.thing_group_name
    if group is None:
        return True
    described = job or api.describe(summary.job_id)
    return any(target.endswith(f":thinggroup/{group}") for target in described.targets)


def _filtered[Item](matches: Callable[[Item], bool], items: Iterable[Item]) -> list[Item]:
    """Return the items that match, in order; a job that is gone in between does not. Raises JobsError."""

    def exists_and_matches(item: Item) -> bool:
        try:
            return matches(item)
        except JobNotFound:
            return False

    candidates = list(items)
    return list(compress(candidates, in_parallel(exists_and_matches, candidates)))


def _check_call_budget(number: int, call_budget: int | None) -> None:
    """Each delivery would start again and come no further, so reject at once and not after a hundred deliveries.

    `number` is that of calls of one operation, since AWS counts its quotas for each operation.
    """
    if call_budget is not None and number > call_budget:
        raise RequestRejected(
            "select",
            f"needs {number} API calls for single jobs (tags, targets, namespace, scheduled start), "
            f"but a run has time for {call_budget}; narrow the selection with ",
            "jobIdGlob",
        )
