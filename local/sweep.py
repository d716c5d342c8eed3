"""The second part of the demonstration: a sweep over a mixed population, and one larger than an invocation."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from .aws import LocalAws
from .fleet import Fleet
from .polling import wait_for
from .reports import FunctionLog, Report
from .screen import Screen
from .triggers import Triggers

STALE_HOURS = 0.01  # 36 s: long enough to tell old from young here
MANY = 300  # jobs, which are more than an invocation of SHORT_TIMEOUT can cancel
SHORT_TIMEOUT = 25  # seconds; calls can begin in 9 of them, 450 in all, and here selecting takes one for each job
_SECONDS = 120

_MIXED: Final[Mapping[str, object]] = {
    "select": {"jobIdGlob": "*stale-*", "olderThanHours": STALE_HOURS},
    "reasonCode": "STALE_JOB",
}
_BULK: Final[Mapping[str, object]] = {"select": {"jobIdGlob": "bulk-*"}, "reasonCode": "STALE_JOB"}

COLUMNS = ("Job", "It is", "Dry run says", "The sweep did", "Job after it")


@dataclass(frozen=True)
class Row:
    """One job of the mixed population, in the order of COLUMNS."""

    job_id: str
    kind: str
    planned: str
    swept: str
    after: str


_NOT_MEANT = ("not selected", "not selected", "IN_PROGRESS")

EXPECTED = (
    Row("stale-1", "stale", "WOULD_CANCEL", "CANCELED", "CANCELED"),
    Row("stale-2", "stale", "WOULD_CANCEL", "CANCELED", "CANCELED"),
    Row("stale-3", "stale, protected by its tag", "PROTECTED", "PROTECTED", "IN_PROGRESS"),
    Row("stale-4", "young", "left out: not older than 0.01 h", "not selected", "IN_PROGRESS"),
    Row(
        "AFR_OTA-stale-5",
        "stale, FreeRTOS OTA",
        "left out: owned by FreeRTOS over-the-air updates",
        "not selected",
        "IN_PROGRESS",
    ),
    Row("stale-6", "stale, CONTINUOUS", *_NOT_MEANT),
    Row("other-7", "stale, another prefix", *_NOT_MEANT),
)
_YOUNG = "stale-4"


@dataclass(frozen=True)
class Sweeps:
    """`function_name` is the deployed function, `backlog_url` the queue of what it could not finish."""

    screen: Screen
    aws: LocalAws
    fleet: Fleet
    triggers: Triggers
    log: FunctionLog
    function_name: str
    backlog_url: str

    def play(self, created_at: float) -> tuple[list[Row], int]:
        """The mixed population after its sweep, and how many invocations the large sweep took.

        `created_at` is when `create_population` was called, on the monotonic clock.
        """
        return self._mixed(created_at), self._large()

    def _mixed(self, created_at: float) -> list[Row]:
        with self.screen.step("Wait until the stale jobs are 36 s old, and create a young one"):
            wait_for(
                "stale jobs", lambda: True if time.monotonic() - created_at > STALE_HOURS * 3600 else None, seconds=60
            )
            self.fleet.create_job(_YOUNG, ["sweep-device"])
        with self.screen.step("dry run of the sweep: sam remote invoke, or any other way to the function"):
            plan = self._invoke({**_MIXED, "dryRun": True})
        with self.screen.step("schedule: the same without dry run, as the Input of an EventBridge schedule"):
            self.triggers.schedule("sweep", _MIXED)
            swept = self.log.wait_for_report("the report of the sweep", _is_the_sweep, seconds=_SECONDS)
        return [
            Row(row.job_id, row.kind, _told(plan, row.job_id), _told(swept, row.job_id), self._status(row.job_id))
            for row in EXPECTED
        ]

    def _large(self) -> int:
        client, sqs = self.aws.client("lambda"), self.aws.client("sqs")
        with self.screen.step(f"Create {MANY} jobs, and give the function a time-out of {SHORT_TIMEOUT} s"):
            for number in range(MANY):
                self.fleet.create_job(f"bulk-{number}", ["sweep-device"])
            client.update_function_configuration(FunctionName=self.function_name, Timeout=SHORT_TIMEOUT)
            before = len(self.log.reports())
        self.triggers.request(_BULK)
        with self.screen.progress(
            "event: a sweep that is larger than one invocation, finished over the queue", MANY
        ) as show:

            def finished() -> bool | None:
                done = self._canceled()
                show(done)
                waiting = sqs.get_queue_attributes(
                    QueueUrl=self.backlog_url,
                    AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
                )["Attributes"]
                return True if done == MANY and not any(map(int, waiting.values())) else None

            wait_for(f"{MANY} cancelled jobs and an empty backlog", finished, seconds=_SECONDS, every=0.5)
        return len(self.log.reports()) - before

    def _invoke(self, cancel: Mapping[str, object]) -> Report:
        payload = json.dumps({"cancel": cancel}).encode()
        answer = self.aws.client("lambda").invoke(FunctionName=self.function_name, Payload=payload)
        return cast("Report", json.loads(answer["Payload"].read()))

    def _status(self, job_id: str) -> str:
        return self.fleet.state(job_id).status

    def _canceled(self) -> int:
        pages = self.aws.client("iot").get_paginator("list_jobs").paginate(status="CANCELED")
        return sum(job["jobId"].startswith("bulk-") for page in pages for job in page["jobs"])


def create_population(fleet: Fleet) -> float:
    """Create all of EXPECTED but the young job; the time on the monotonic clock after that."""
    fleet.register("sweep-device")
    for row in EXPECTED:
        if row.job_id != _YOUNG:
            tags = {"cancel-protection": "true"} if "protected" in row.kind else None
            selection: Literal["SNAPSHOT", "CONTINUOUS"] = "CONTINUOUS" if "CONTINUOUS" in row.kind else "SNAPSHOT"
            fleet.create_job(row.job_id, ["sweep-device"], tags, selection)
    return time.monotonic()


def _is_the_sweep(report: Report) -> bool:
    return not report["dryRun"] and any(job["jobId"] == "stale-1" for job in report["jobs"])


def _told(report: Report, job_id: str) -> str:
    outcomes = {job["jobId"]: job["outcome"] for job in report["jobs"]}
    left_out = {left["jobId"]: f"left out: {left['why']}" for left in report.get("leftOut", [])}
    return str(outcomes.get(job_id) or left_out.get(job_id) or "not selected")
