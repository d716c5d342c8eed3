"""The third part of the demonstration: a sweep of different jobs, and a sweep that needs several invocations."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, cast

from tools.fleet.devices import Fleet
from tools.fleet.triggers import Triggers
from tools.localaws.aws import LocalAws
from tools.localaws.reports import FunctionLog, Report
from tools.polling import wait_for
from tools.screen import Screen

STALE_HOURS = 0.01  # 36 s, which separates the jobs of the start of the demonstration from a new one
LARGE_SWEEP_JOBS = 300  # more than one invocation of SHORT_TIMEOUT_SECONDS can cancel
SHORT_TIMEOUT_SECONDS = 35  # calls start within 9 of them: at a rate of 32 and a burst of 6, at most 294 cancels
_TIMEOUT_SECONDS = 120

_MIXED: Final[Mapping[str, object]] = {
    "select": {"jobIdGlob": "*stale-*", "olderThanHours": STALE_HOURS},
    "reasonCode": "STALE_JOB",
}
_BULK: Final[Mapping[str, object]] = {"select": {"jobIdGlob": "bulk-*"}, "reasonCode": "STALE_JOB"}

COLUMNS = ("Job", "It is", "Dry run says", "The sweep did", "Job after it")


@dataclass(frozen=True)
class Row:
    """One job of the sweep, in the order of COLUMNS."""

    job_id: str
    kind: str
    planned: str
    swept: str
    after: str


_NOT_SELECTED = ("not selected", "not selected", "IN_PROGRESS")

EXPECTED = (
    Row("stale-1", "stale", "WOULD_CANCEL", "CANCELED", "CANCELED"),
    Row("stale-2", "stale", "WOULD_CANCEL", "CANCELED", "CANCELED"),
    Row("stale-3", "stale, protected by its tag", "PROTECTED", "PROTECTED", "IN_PROGRESS"),
    Row("stale-4", "young", "excluded: not older than 0.01 h", "not selected", "IN_PROGRESS"),
    Row(
        "AFR_OTA-stale-5",
        "stale, FreeRTOS OTA",
        "excluded: owned by FreeRTOS over-the-air updates",
        "not selected",
        "IN_PROGRESS",
    ),
    Row("stale-6", "stale, CONTINUOUS", *_NOT_SELECTED),
    Row("other-7", "stale, another prefix", *_NOT_SELECTED),
)
_YOUNG = "stale-4"


@dataclass(frozen=True)
class Sweeps:
    """The two sweeps. `stack` has the outputs of the deployed stack."""

    screen: Screen
    aws: LocalAws
    fleet: Fleet
    triggers: Triggers
    log: FunctionLog
    stack: Mapping[str, str]

    def run(self, created_at: float) -> tuple[list[Row], int]:
        """Run both sweeps. Return the rows of the first one, and the number of invocations of the large one.

        `created_at` is the result of `create_population`.
        """
        return self._mixed(created_at), self._large()

    def _mixed(self, created_at: float) -> list[Row]:
        with self.screen.step("Wait until the stale jobs are 36 s old, and create a young one"):
            wait_for("stale jobs", lambda: time.monotonic() - created_at > STALE_HOURS * 3600, seconds=60)
            self.fleet.create_job(_YOUNG, ["sweep-device"])
        with self.screen.step("dry run of the sweep: sam remote invoke, or any other way to the function"):
            plan = self._invoke({**_MIXED, "dryRun": True})
        with self.screen.step("schedule: the same without dry run, as the Input of an EventBridge schedule"):
            self.triggers.schedule("sweep", _MIXED)
            swept = self.log.wait_for_report("the report of the sweep", _is_the_sweep, seconds=_TIMEOUT_SECONDS)
        return [
            Row(
                job_id, row.kind, _outcome_in(plan, job_id), _outcome_in(swept, job_id), self.fleet.state(job_id).status
            )
            for row in EXPECTED
            for job_id in [row.job_id]
        ]

    def _large(self) -> int:
        client, sqs = self.aws.client("lambda"), self.aws.client("sqs")
        with self.screen.step(
            f"Create {LARGE_SWEEP_JOBS} jobs, and give the function a timeout of {SHORT_TIMEOUT_SECONDS} s"
        ):
            for number in range(LARGE_SWEEP_JOBS):
                self.fleet.create_job(f"bulk-{number}", ["sweep-device"])
            client.update_function_configuration(FunctionName=self.stack["FunctionName"], Timeout=SHORT_TIMEOUT_SECONDS)
            before = len(self.log.reports())
        self.triggers.request(_BULK)
        with self.screen.progress(
            "event: a sweep that is larger than one invocation, finished over the queue", LARGE_SWEEP_JOBS
        ) as show:

            def finished() -> bool:
                done = self._canceled()
                show(done)
                messages = sqs.get_queue_attributes(
                    QueueUrl=self.stack["BacklogQueueUrl"],
                    AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
                )["Attributes"]
                return done == LARGE_SWEEP_JOBS and not any(map(int, messages.values()))

            wait_for(
                f"{LARGE_SWEEP_JOBS} canceled jobs and an empty backlog", finished, seconds=_TIMEOUT_SECONDS, every=0.5
            )
        return len(self.log.reports()) - before

    def _invoke(self, cancel: Mapping[str, object]) -> Report:
        payload = json.dumps({"cancel": cancel}).encode()
        response = self.aws.client("lambda").invoke(FunctionName=self.stack["FunctionName"], Payload=payload)
        return cast("Report", json.loads(response["Payload"].read()))

    def _canceled(self) -> int:
        pages = self.aws.client("iot").get_paginator("list_jobs").paginate(status="CANCELED")
        return sum(job["jobId"].startswith("bulk-") for page in pages for job in page["jobs"])


def create_population(fleet: Fleet) -> float:
    """Create the jobs of EXPECTED except the young one. Return the time of the monotonic clock after that."""
    fleet.register("sweep-device")
    for row in EXPECTED:
        if row.job_id != _YOUNG:
            tags = {"cancel-protection": "true"} if "protected" in row.kind else None
            selection: Literal["SNAPSHOT", "CONTINUOUS"] = "CONTINUOUS" if "CONTINUOUS" in row.kind else "SNAPSHOT"
            fleet.create_job(row.job_id, ["sweep-device"], tags, selection)
    return time.monotonic()


def _is_the_sweep(report: Report) -> bool:
    return not report["dryRun"] and any(job["jobId"] == "stale-1" for job in report["jobs"])


def _outcome_in(report: Report, job_id: str) -> str:
    outcomes = {job["jobId"]: job["outcome"] for job in report["jobs"]}
    left_out = {left["jobId"]: f"excluded: {left['why']}" for left in report.get("leftOut", [])}
    return str(outcomes.get(job_id) or left_out.get(job_id) or "not selected")
