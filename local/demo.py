"""The demonstration: every trigger, without force and with it, each result read back and held to what it must be."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.markup import escape

from . import sam, sweep, waiting
from .aws import LocalAws
from .diagnosis import logs_on_failure
from .fleet import Fleet, JobState
from .reports import FunctionLog
from .screen import Screen
from .stacks import outputs
from .triggers import Triggers

ALARM_PREFIX = "rollout-"
_REPORT_SECONDS = 60

COLUMNS = (
    "Force",
    "Trigger",
    "Job",
    "Before",
    "After",
    "Executions\ncancelled",
    "Left in\nprogress",
    "Outcome\nreported",
    "Device's\nsuccess",
)


@dataclass(frozen=True)
class Row:
    """One job and what became of it, in the order of COLUMNS."""

    force: str
    trigger: str
    job_id: str
    before: str
    after: str
    canceled: str
    left: str
    report: str
    success: str


_RUNNING = "IN_PROGRESS\n2 queued 1 in progress"
_RUNS_ON = (_RUNNING, "CANCELED\n2 canceled 1 in progress", "2", "1", "CANCELED\n1 left", "accepted")
_STOPPED = (_RUNNING, "CANCELED\n3 canceled", "3", "0", "CANCELED\n0 left", "refused")

EXPECTED = (
    Row("false", "teardown", "teardown-1", *_RUNS_ON),
    Row("false", "schedule", "schedule-1", *_RUNS_ON),
    Row("false", "event", "event-1a", *_RUNS_ON),
    Row("false", "event", "event-1b", *_RUNS_ON),
    Row("false", "alarm", "alarm-1", *_RUNS_ON),
    Row("true", "teardown", "teardown-2", *_STOPPED),
    Row("true", "schedule", "schedule-2", *_STOPPED),
    Row("true", "event", "event-2a", *_STOPPED),
    Row("true", "event", "event-2b", *_STOPPED),
    Row("true", "alarm", "alarm-2", *_STOPPED),
)


def run(screen: Screen, *, before_the_end: Callable[[LocalAws], None] = lambda _: None) -> int:
    """Play it all, and give the exit code: 0 if every row is as expected. The local AWS outlives `before_the_end`."""
    started = time.monotonic()
    with ExitStack() as until_the_end:
        build_dir = Path(until_the_end.enter_context(TemporaryDirectory(prefix="iot-job-canceler-build-")))
        with screen.step("sam build"):
            sam.build(build_dir)
        with screen.step("Start a local AWS"):
            aws = until_the_end.enter_context(LocalAws())
        with logs_on_failure(screen, aws):
            rows, waited, swept, invocations = Demonstration(screen, aws, build_dir).play()
            before_the_end(aws)
    right = all([_show(screen, rows), _show_wait(screen, waited), _show_sweep(screen, swept, invocations)])
    screen.say(
        f"Done in {time.monotonic() - started:.0f} s; the local AWS is gone. `make up` starts one to try things on."
    )
    return 0 if right else 1


class Demonstration:
    """One fleet and two rounds: the first deploys the stack without force, the second updates it to force."""

    def __init__(self, screen: Screen, aws: LocalAws, build_dir: Path) -> None:
        self._screen = screen
        self._aws = aws
        self._build_dir = build_dir
        self._fleet = Fleet(aws)

    def play(self) -> tuple[list[Row], waiting.Waited, list[sweep.Row], int]:
        """What became of each job, in the order of EXPECTED; the wait; the sweep, and its larger one's invocations."""
        with self._screen.step("Create jobs that are to be stale by the time of the sweep"):
            created_at = sweep.create_population(self._fleet)
        without_force = self._round("false")
        stack = outputs(self._aws, sam.STACK_NAME)
        waited = waiting.play(self._screen, self._aws, self._fleet, FunctionLog(self._aws, stack["LogGroupName"]))
        rows = [*without_force, *self._round("true")]
        sweeps = sweep.Sweeps(
            self._screen,
            self._aws,
            self._fleet,
            Triggers(self._aws, stack["ServiceToken"], ALARM_PREFIX),
            FunctionLog(self._aws, stack["LogGroupName"]),
            stack["FunctionName"],
            stack["BacklogQueueUrl"],
        )
        return rows, waited, *sweeps.play(created_at)

    def _round(self, force: str) -> list[Row]:
        plan = [row for row in EXPECTED if row.force == force]
        triggers, log = self._deploy(force)
        devices = self._start_jobs(plan)
        jobs = defaultdict[str, list[str]](list)
        for row in plan:
            jobs[row.trigger].append(row.job_id)
        with self._screen.step("teardown: create a stack from examples/teardown.yaml"):
            triggers.create_stack_of(*jobs["teardown"])
        before = {row.job_id: self._fleet.state(row.job_id) for row in plan}
        self._pull(triggers, jobs)
        with self._screen.step("Wait for the function's reports, and read the jobs back"):
            return [self._read_back(row, before[row.job_id], devices[row.job_id], log) for row in plan]

    def _deploy(self, force: str) -> tuple[Triggers, FunctionLog]:
        with self._screen.step(f"sam deploy with Force={force}"):
            parameters = {
                "Force": force,
                "AlarmNamePrefix": ALARM_PREFIX,
                "MaxJobsPerRun": "400",
                "CancelsPerSecond": "50",
            }
            stack = sam.deploy(self._aws, parameters, build_dir=self._build_dir)
        return Triggers(self._aws, stack["ServiceToken"], ALARM_PREFIX), FunctionLog(self._aws, stack["LogGroupName"])

    def _start_jobs(self, plan: Sequence[Row]) -> dict[str, list[str]]:
        """Create the jobs and let a device start each. Gives the devices of each job, the busy one first."""
        devices = {row.job_id: [f"{row.job_id}-device-{number}" for number in range(1, 4)] for row in plan}
        with self._screen.step(
            f"Create {len(plan)} jobs for 3 devices each; one device starts its job, the others wait"
        ):
            for job_id, things in devices.items():
                self._fleet.register(*things)
                self._fleet.create_job(job_id, things)
                self._fleet.start_next_job(things[0])
        return devices

    def _pull(self, triggers: Triggers, jobs: Mapping[str, list[str]]) -> None:
        """Set off every trigger. The schedule comes first, since it is due only in a moment."""
        with self._screen.step("schedule: create an EventBridge schedule that is due in a moment"):
            triggers.schedule(jobs["schedule"][0], {"jobIds": jobs["schedule"]})
        with self._screen.step("teardown: delete the stack"):
            triggers.delete_stack_of(*jobs["teardown"])
        with self._screen.step("event: put a request on the event bus"):
            triggers.request({"jobIds": jobs["event"]})
        with self._screen.step("alarm: set the job's alarm to ALARM"):
            triggers.raise_alarm(*jobs["alarm"])

    def _read_back(self, row: Row, before: JobState, devices: Sequence[str], log: FunctionLog) -> Row:
        report = log.wait_for_outcome(row.job_id, seconds=_REPORT_SECONDS)
        after = self._fleet.state(row.job_id)
        accepted = self._fleet.succeed(devices[0], row.job_id)
        return Row(
            force=row.force,
            trigger=row.trigger,
            job_id=row.job_id,
            before=str(before),
            after=str(after),
            canceled=str(after.executions.get("CANCELED", 0)),
            left=str(after.executions.get("IN_PROGRESS", 0)),
            report=f"{report['outcome']}\n{report['executionsLeftInProgress']} left",
            success="accepted" if accepted else "refused",
        )


def _show(screen: Screen, rows: Sequence[Row]) -> bool:
    return _compare(screen, "Read back from IoT and CloudWatch Logs", COLUMNS, rows, EXPECTED)


def _show_wait(screen: Screen, waited: waiting.Waited) -> bool:
    right = waited.is_as_expected
    screen.table("The deletion of a stack that waits for its devices", waiting.COLUMNS, waited.rows())
    took = ", ".join(f"{duration:.0f}" for duration in waited.durations)
    screen.say(f"The canceler was invoked {len(waited.durations)} times for that, and took {took} ms.")
    verdict = "All happened in the expected order." if right else f"The expected order is {waiting.EXPECTED}."
    screen.say(verdict, style="bold green" if right else "bold red")
    return right


def _show_sweep(screen: Screen, rows: Sequence[sweep.Row], invocations: int) -> bool:
    right = _compare(screen, "The sweep of a mixed population", sweep.COLUMNS, rows, sweep.EXPECTED)
    several = invocations > 1
    screen.say(
        f"{sweep.MANY} jobs were swept by {invocations} invocations of at most {sweep.SHORT_TIMEOUT} s.",
        style="bold green" if several else "bold red",
    )
    return right and several


def _compare[R: Row | sweep.Row](
    screen: Screen, title: str, columns: Sequence[str], rows: Sequence[R], expected: Sequence[R]
) -> bool:
    """The table, with what differs from what is expected in red; True if nothing does."""
    pairs = list(zip(rows, expected, strict=True))
    screen.table(title, columns, [_marked(row, wanted) for row, wanted in pairs])
    wrong = sum(row != wanted for row, wanted in pairs)
    verdict = f"{wrong} of {len(rows)} rows are not as expected" if wrong else f"All {len(rows)} rows are as expected."
    screen.say(verdict, style="bold red" if wrong else "bold green")
    return not wrong


def _marked(row: Row | sweep.Row, expected: Row | sweep.Row) -> list[str]:
    return [_cell(actual, wanted) for actual, wanted in zip(astuple(row), astuple(expected), strict=True)]


def _cell(actual: str, wanted: str) -> str:
    return escape(actual) if actual == wanted else f"[red]{escape(actual)}\nexpected {escape(wanted)}[/]"
