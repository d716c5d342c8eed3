"""The demonstration of `make run`: every trigger, without and with force. Every result is compared with EXPECTED."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.markup import escape

from tools.fleet.devices import Fleet, JobState
from tools.fleet.triggers import Triggers
from tools.localaws import sam
from tools.localaws.aws import LocalAws
from tools.localaws.diagnosis import logs_on_failure
from tools.localaws.reports import FunctionLog
from tools.screen import Screen

from . import sweep, wait

_REPORT_TIMEOUT_SECONDS = 60
_ALARM_ACTION = "alarm\naction"  # in two lines, so that the table fits into 80 columns

COLUMNS = (
    "Force",
    "Trigger",
    "Job",
    "Before",
    "After",
    "Outcome\nreported",
    "Device's\nsuccess",
)


@dataclass(frozen=True)
class Row:
    """A job and its result, in the order of COLUMNS."""

    force: str
    trigger: str
    job_id: str
    before: str
    after: str
    report: str
    success: str


_RUNNING = "IN_PROGRESS\n2 queued\n1 in progress"
_WITHOUT_FORCE = (_RUNNING, "CANCELED\n2 canceled\n1 in progress", "CANCELED\n1 left", "accepted")
_WITH_FORCE = (_RUNNING, "CANCELED\n3 canceled", "CANCELED\n0 left", "refused")

EXPECTED = (
    Row("false", "teardown", "teardown-1", *_WITHOUT_FORCE),
    Row("false", "schedule", "schedule-1", *_WITHOUT_FORCE),
    Row("false", "event", "event-1a", *_WITHOUT_FORCE),
    Row("false", "event", "event-1b", *_WITHOUT_FORCE),
    Row("false", "alarm", "alarm-1", *_WITHOUT_FORCE),
    Row("false", _ALARM_ACTION, "action-1", *_WITHOUT_FORCE),
    Row("false", "command", "command-1", *_WITHOUT_FORCE),
    Row("true", "teardown", "teardown-2", *_WITH_FORCE),
    Row("true", "schedule", "schedule-2", *_WITH_FORCE),
    Row("true", "event", "event-2a", *_WITH_FORCE),
    Row("true", "event", "event-2b", *_WITH_FORCE),
    Row("true", "alarm", "alarm-2", *_WITH_FORCE),
    Row("true", _ALARM_ACTION, "action-2", *_WITH_FORCE),
    Row("true", "command", "command-2", *_WITH_FORCE),
)


def run(screen: Screen, *, before_stop: Callable[[LocalAws], None] = lambda _: None) -> int:
    """Run the demonstration, and return exit code 0 if every result is as expected.

    `before_stop` is called with the local AWS before it is stopped.
    """
    started = time.monotonic()
    with ExitStack() as until_stop:
        build_dir = Path(until_stop.enter_context(TemporaryDirectory(prefix="iot-job-canceler-build-")))
        with screen.step("sam build"):
            sam.build(build_dir)
        with screen.step("Start a local AWS"):
            aws = until_stop.enter_context(LocalAws())
        with logs_on_failure(screen, aws):
            rows, waited, swept, invocations = Demonstration(screen, aws, build_dir).run()
            before_stop(aws)
    is_right = all([_show(screen, rows), _show_wait(screen, waited), _show_sweep(screen, swept, invocations)])
    screen.say(f"Finished in {time.monotonic() - started:.0f} s. The local AWS has been stopped; `make up` starts one.")
    return 0 if is_right else 1


class Demonstration:
    """One fleet and two rounds: the first deploys the stack without force, the second updates it with force."""

    def __init__(self, screen: Screen, aws: LocalAws, build_dir: Path) -> None:
        self._screen = screen
        self._aws = aws
        self._build_dir = build_dir
        self._fleet = Fleet(aws)

    def run(self) -> tuple[list[Row], wait.WaitResult, list[sweep.Row], int]:
        """Return the rows in the order of EXPECTED, the wait, the sweep, and the invocations of the large sweep."""
        with self._screen.step("Create jobs that are to be stale by the time of the sweep"):
            created_at = sweep.create_population(self._fleet)
        stack = self._deploy("false")
        triggers = Triggers(self._aws, stack["ServiceToken"], sam.ALARM_PREFIX)
        log = FunctionLog(self._aws, stack["LogGroupName"])
        rows = self._round("false", triggers, log)
        waited = wait.run(self._screen, self._aws, self._fleet, log)
        self._deploy("true")
        rows += self._round("true", triggers, log)
        sweeps = sweep.Sweeps(self._screen, self._aws, self._fleet, triggers, log, stack)
        return rows, waited, *sweeps.run(created_at)

    def _round(self, force: str, triggers: Triggers, log: FunctionLog) -> list[Row]:
        expected = [row for row in EXPECTED if row.force == force]
        devices = self._start_jobs(expected)
        jobs = defaultdict[str, list[str]](list)
        for row in expected:
            jobs[row.trigger].append(row.job_id)
        with self._screen.step("teardown: create a stack from examples/teardown.yaml"):
            triggers.create_stack_of(*jobs["teardown"])
        before = {row.job_id: self._fleet.state(row.job_id) for row in expected}
        self._set_off(triggers, jobs)
        with self._screen.step("Wait for the function's reports, and read the jobs back"):
            return [self._read_result(row, before[row.job_id], devices[row.job_id], log) for row in expected]

    def _deploy(self, force: str) -> dict[str, str]:
        """Deploy the stack, and return its outputs."""
        limits = {"MaxJobsPerRun": "400", "CancelsPerSecond": "32"}
        with self._screen.step(f"sam deploy with Force={force}"):
            parameters = {"Force": force, "AlarmNamePrefix": sam.ALARM_PREFIX, **limits}
            return sam.deploy(self._aws, parameters, build_dir=self._build_dir)

    def _start_jobs(self, rows: Sequence[Row]) -> dict[str, list[str]]:
        """Create the jobs, and let one device start each. Return the devices of each job, the started one first."""
        devices = {row.job_id: [f"{row.job_id}-device-{number}" for number in range(1, 4)] for row in rows}
        with self._screen.step(
            f"Create {len(rows)} jobs for 3 devices each; one device starts its job, the others wait"
        ):
            for job_id, things in devices.items():
                self._fleet.register(*things)
                self._fleet.create_job(job_id, things)
                self._fleet.start_next_job(things[0])
        return devices

    def _set_off(self, triggers: Triggers, jobs: Mapping[str, list[str]]) -> None:
        """Set off every trigger. The schedule is first, because it is due only after two seconds."""
        with self._screen.step("schedule: create an EventBridge schedule that is due in a moment"):
            triggers.schedule(jobs["schedule"][0], {"jobIds": jobs["schedule"]})
        with self._screen.step("teardown: delete the stack"):
            triggers.delete_stack_of(*jobs["teardown"])
        with self._screen.step("event: put a request on the event bus"):
            triggers.request({"jobIds": jobs["event"]})
        with self._screen.step("alarm: set the job's alarm to ALARM"):
            triggers.raise_alarm(*jobs["alarm"])
        with self._screen.step("alarm action: invoke the function as an alarm that has it as its action"):
            triggers.invoke_by_alarm(*jobs[_ALARM_ACTION])
        with self._screen.step("command: python -m iot_job_canceler cancel-job"):
            triggers.enter_command(*jobs["command"])

    def _read_result(self, row: Row, before: JobState, devices: Sequence[str], log: FunctionLog) -> Row:
        report = log.wait_for_outcome(row.job_id, seconds=_REPORT_TIMEOUT_SECONDS)
        after = self._fleet.state(row.job_id)
        accepted = self._fleet.succeed(devices[0], row.job_id)
        return Row(
            force=row.force,
            trigger=row.trigger,
            job_id=row.job_id,
            before=str(before),
            after=str(after),
            report=f"{report['outcome']}\n{report['executionsLeftInProgress']} left",
            success="accepted" if accepted else "refused",
        )


def _show(screen: Screen, rows: Sequence[Row]) -> bool:
    return _compare(screen, "Read back from IoT and CloudWatch Logs", COLUMNS, rows, EXPECTED)


def _show_wait(screen: Screen, waited: wait.WaitResult) -> bool:
    is_right = waited.is_as_expected
    screen.table("The deletion of a stack that waits for its devices", wait.COLUMNS, waited.rows())
    took = ", ".join(f"{duration:.0f}" for duration in waited.durations)
    screen.say(f"The canceler was invoked {len(waited.durations)} times for that, and took {took} ms.")
    result = "All happened in the expected order." if is_right else f"The expected order is {wait.EXPECTED}."
    screen.say(result, style="bold green" if is_right else "bold red")
    return is_right


def _show_sweep(screen: Screen, rows: Sequence[sweep.Row], invocations: int) -> bool:
    is_right = _compare(screen, "The sweep of a mixed population", sweep.COLUMNS, rows, sweep.EXPECTED)
    several = invocations > 1
    limit = f"at most {sweep.SHORT_TIMEOUT_SECONDS} s"
    screen.say(
        f"{sweep.LARGE_SWEEP_JOBS} jobs were swept by {invocations} invocations of {limit}.",
        style="bold green" if several else "bold red",
    )
    return is_right and several


def _compare[R: Row | sweep.Row](
    screen: Screen, title: str, columns: Sequence[str], rows: Sequence[R], expected: Sequence[R]
) -> bool:
    """Print the table, with every difference from `expected` in red. Return True if there is none."""
    pairs = list(zip(rows, expected, strict=True))
    screen.table(title, columns, [_marked(*pair) for pair in pairs])
    wrong = sum(row != expected_row for row, expected_row in pairs)
    result = f"{wrong} of {len(rows)} rows are not as expected" if wrong else f"All {len(rows)} rows are as expected."
    screen.say(result, style="bold red" if wrong else "bold green")
    return not wrong


def _marked(row: Row | sweep.Row, expected: Row | sweep.Row) -> list[str]:
    return [_cell(*pair) for pair in zip(astuple(row), astuple(expected), strict=True)]


def _cell(actual: str, expected: str) -> str:
    return escape(actual) if actual == expected else f"[red]{escape(actual)}\nexpected {escape(expected)}[/]"
