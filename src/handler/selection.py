"""Which jobs are selected, and why not the others: cheap filters first, calls for each job last, and only if asked."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import compress
from typing import Protocol

from .errors import JobNotFound, RequestRejected
from .job import Job, JobStatus, JobSummary
from .outcome import LeftOut
from .parallel import in_parallel
from .selector import LIVE_STATUSES, Selector, matches_glob
from .timing import Turn

# FreeRTOS over-the-air updates are jobs with this prefix, Greengrass deployments are jobs in this namespace. Their own
# services cancel them.
OTA_PREFIX = "AFR_OTA-"
GREENGRASS_NAMESPACE = "aws-gg-deployment"
_NOBODYS_NAMESPACE = "iot-job-canceler-probe"
_MAX_LEFT_OUT = 100


class JobListing(Protocol):
    """The part of the IoT Jobs API that selects. Every method raises JobsError."""

    def list_jobs(self, status: JobStatus, turn: Turn, namespace: str | None = None) -> Iterator[JobSummary]:
        """ListJobs, all pages, one after the other. `turn` is called before each page."""

    def describe(self, job_id: str) -> Job:
        """DescribeJob."""

    def tags(self, arn: str) -> Mapping[str, str]:
        """ListTagsForResource, all pages."""


@dataclass(frozen=True, slots=True)
class Selection:
    """`jobs` are selected. `left_out` are the first of those that a person may miss among them."""

    jobs: tuple[JobSummary, ...]
    left_out: tuple[LeftOut, ...]


@dataclass(slots=True)
class Selecting:
    """One selection under way. `prefix` is the stack's JobIdPrefix, `now` is timezone-aware.

    `turn` waits until the next call may begin; it raises OutOfTime if that is too late. `most_questions` is how many
    candidates one run has the time to ask about; None is any number.
    """

    selector: Selector
    listing: JobListing
    prefix: str
    now: datetime
    turn: Turn
    most_questions: int | None
    _left_out: list[LeftOut] = field(default_factory=list)

    def select(self) -> Selection:
        """Raises JobsError: a listing or a question that failed is never an empty selection."""
        candidates = {summary.job_id: summary for summary in self._candidates()}
        for owned in self._greengrass(candidates):
            self._leave_out(owned, "owned by AWS IoT Greengrass")
            del candidates[owned]
        return Selection(tuple(self._that_pass(candidates.values())), tuple(self._left_out))

    def _candidates(self) -> Iterator[JobSummary]:
        for status in self.selector.statuses:
            for summary in self.listing.list_jobs(status, self.turn):
                if not self.in_scope(summary):
                    continue
                if summary.job_id.startswith(OTA_PREFIX):
                    self._leave_out(summary.job_id, "owned by FreeRTOS over-the-air updates")
                elif not is_older(summary, self.selector, self.now):
                    self._leave_out(summary.job_id, f"not older than {self.selector.older_than_hours:g} h")
                else:
                    yield summary

    def in_scope(self, summary: JobSummary) -> bool:
        """True if a job is meant, by what a listing tells of it, and apart from its age."""
        asked = self.selector
        return (
            summary.job_id.startswith(self.prefix)
            and summary.target_selection in asked.target_selections
            and (asked.job_id_glob is None or matches_glob(summary.job_id, asked.job_id_glob))
            and not any(matches_glob(summary.job_id, glob) for glob in asked.exclude_job_id_globs)
        )

    def covers_canceled(self, summary: JobSummary) -> bool:
        """The same for a cancelled job, and with its age. Its last update is the cancel, and tells no age any more."""
        asked = self.selector
        if summary.job_id.startswith(OTA_PREFIX):
            return False
        return self.in_scope(summary) and (asked.age_from != "createdAt" or is_older(summary, asked, self.now))

    def _greengrass(self, candidates: Mapping[str, JobSummary]) -> list[str]:
        """The candidates that are Greengrass deployments. Nobody knows whether a plain listing holds those."""
        if not candidates:
            return []
        listed = dict.fromkeys(
            summary.job_id
            for status in LIVE_STATUSES  # both: a candidate may have begun its roll-out since it was listed
            for summary in self.listing.list_jobs(status, self.turn, GREENGRASS_NAMESPACE)
            if summary.job_id in candidates
        )
        if listed and self._ignores_namespaces():
            self._check_questions(len(listed))
            return list(compress(listed, in_parallel(self._is_greengrass, listed)))
        return list(listed)

    def _is_greengrass(self, job_id: str) -> bool:
        self.turn()
        try:
            return self.listing.describe(job_id).namespace == GREENGRASS_NAMESPACE
        except JobNotFound:
            return False

    def _ignores_namespaces(self) -> bool:
        """True if the listing shows jobs for a namespace that nobody has: then it does not filter (local AWS)."""
        listings = (self.listing.list_jobs(status, self.turn, _NOBODYS_NAMESPACE) for status in self.selector.statuses)
        return any(next(listing, None) for listing in listings)

    def _that_pass(self, candidates: Iterable[JobSummary]) -> Iterable[JobSummary]:
        """Targets are asked of the job itself: the listing's own filter has left out SCHEDULED jobs (aws-cli #8924)."""
        if not (self.selector.tags or self.selector.thing_group_name):
            return candidates
        asked = list(candidates)
        self._check_questions(len(asked) * (2 if self.selector.tags and self.selector.thing_group_name else 1))
        return compress(asked, in_parallel(self.passes, asked))

    def _check_questions(self, number: int) -> None:
        """Each delivery would begin anew and come no further: better said at once than after a hundred of them."""
        if self.most_questions is not None and number > self.most_questions:
            raise RequestRejected(
                "select",
                f"takes {number} questions about single jobs (tags, targets, namespace), and a run has the time for "
                f"{self.most_questions}: narrow it with jobIdGlob",
            )

    def passes(self, summary: JobSummary) -> bool:
        """True if the job has the tags and the target that are asked for. Raises JobsError."""
        self.turn()
        try:
            return self._has_tags(summary) and self._targets_group(summary)
        except JobNotFound:
            return False

    def _has_tags(self, summary: JobSummary) -> bool:
        asked = self.selector.tags
        return not asked or asked.items() <= self.listing.tags(summary.arn).items()

    def _targets_group(self, summary: JobSummary) -> bool:
        group = self.selector.thing_group_name
        if group is None:
            return True
        if self.selector.tags:
            self.turn()  # the second question about one job
        return any(target.endswith(f":thinggroup/{group}") for target in self.listing.describe(summary.job_id).targets)

    def _leave_out(self, job_id: str, why: str) -> None:
        if len(self._left_out) < _MAX_LEFT_OUT:
            self._left_out.append(LeftOut(job_id, why))


def is_older(summary: JobSummary, selector: Selector, now: datetime) -> bool:
    """True if the job's age is more than the selector's hours. 0 hours ask for no age at all."""
    if not selector.older_than_hours:
        return True
    since = summary.created_at if selector.age_from == "createdAt" else summary.last_updated_at
    return now - since > timedelta(hours=selector.older_than_hours)
