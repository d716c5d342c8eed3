"""`make verify-aws` against MiniStack: it deletes what it created, however it ends."""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from io import StringIO

import pytest
from rich.console import Console

from tools.conformance import verify
from tools.conformance.account import Account
from tools.conformance.assumption import Assumption, Evidence
from tools.conformance.assumptions import ASSUMPTIONS
from tools.conformance.differences import DIFFERENCES
from tools.conformance.testbed import IotTestbed
from tools.errors import ToolError
from tools.localaws import sam
from tools.localaws.aws import LocalAws, isolated_environment
from tools.screen import Screen

type Check = Callable[[Callable[[IotTestbed], str]], tuple[int, str]]

PREFIX = "ijc-verify-"


def created_resources(aws: LocalAws) -> list[str]:
    """List jobs, things and groups with the prefix."""
    iot = aws.client("iot")
    names = [
        *(job["jobId"] for page in iot.get_paginator("list_jobs").paginate() for job in page["jobs"]),
        *(thing["thingName"] for page in iot.get_paginator("list_things").paginate() for thing in page["things"]),
        *(
            each["groupName"]
            for page in iot.get_paginator("list_thing_groups").paginate()
            for each in page["thingGroups"]
        ),
    ]
    return [name for name in names if name.startswith(PREFIX)]


@pytest.fixture(autouse=True)
def _created_resources_are_deleted(aws: LocalAws) -> Iterator[None]:
    yield
    assert created_resources(aws) == []


@pytest.fixture(autouse=True)
def _signals_are_handled() -> Iterator[None]:
    """Handle signals also in a background job of a shell, where they are ignored in every child process."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    previous = {
        each: signal.signal(each, signal.default_int_handler)
        for each in numbers
        if signal.getsignal(each) is signal.SIG_IGN
    }
    yield
    for number, handler in previous.items():
        signal.signal(number, handler)


def started(aws: LocalAws, *options: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tools", "verify-aws", "--endpoint-url", aws.endpoint_url, *options]
    return subprocess.Popen(  # noqa: S603 - our own command
        command,
        cwd=sam.ROOT,
        env=isolated_environment() | aws.environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


FAST = ("--yes", "--calls-per-second", "1000")


def test_every_assumption_is_checked(aws: LocalAws) -> None:
    with started(aws, *FAST) as process:
        output, _ = process.communicate()
    assert process.returncode == 0, output
    assumed = len(ASSUMPTIONS) - len(DIFFERENCES)
    assert f"{assumed} as assumed, {len(DIFFERENCES)} known differences of MiniStack" in output
    assert "0 unexpected" in output
    assert [assumption.name for assumption in ASSUMPTIONS if assumption.name not in output] == []


@pytest.mark.parametrize(
    ("sent", "code", "number"),
    [
        (signal.SIGINT, 130, 1),
        (signal.SIGINT, 130, 14),
        (signal.SIGINT, 130, len(ASSUMPTIONS) - 8),
        (signal.SIGTERM, 143, 30),
        (signal.SIGHUP, 129, 2),
    ],
)
def test_a_signal_ends_the_command_after_cleaning_up(
    aws: LocalAws, sent: signal.Signals, code: int, number: int
) -> None:
    with started(aws, *FAST) as process:
        assert process.stdout
        for line in process.stdout:
            if line.startswith(f"{number:2}/"):
                process.send_signal(sent)
                break
        output = process.stdout.read()
    assert process.returncode == code, output
    assert "Interrupted: cleaning up first." in output
    assert f"{len(ASSUMPTIONS)}/{len(ASSUMPTIONS)}" not in output


@pytest.mark.parametrize("typed", ["", "\n", "n\n"])
def test_without_confirmation_nothing_is_done(aws: LocalAws, typed: str) -> None:
    with started(aws) as process:
        output, _ = process.communicate(typed)
    assert process.returncode == 1
    assert "account 000000000000, Region eu-central-1, as arn:aws:iam::000000000000:root" in output
    assert "Nothing was done." in output


def test_the_command_starts_after_confirmation(aws: LocalAws) -> None:
    with started(aws, *FAST[1:]) as process:
        output, _ = process.communicate("y\n")
    assert process.returncode == 0, output


def test_make_verify_aws_passes_its_arguments() -> None:
    done = subprocess.run(
        ["make", "--dry-run", "verify-aws", "ARGS=--yes"],  # noqa: S607 - the one on the PATH
        cwd=sam.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "python -m tools verify-aws --yes" in done.stdout.splitlines()


# In this process, to interrupt it at a known place


@pytest.fixture
def check(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Check:
    """Return a function that checks one probe, and returns exit code and output."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    def run(probe: Callable[[IotTestbed], str]) -> tuple[int, str]:
        stream = StringIO()
        options = argparse.Namespace(yes=True, endpoint_url=aws.endpoint_url, calls_per_second=1000.0)
        assumptions = [Assumption("the-assumption", "", Evidence.DOCUMENTED, ("seen",), probe)]
        code = verify.verify(Screen(Console(file=stream, width=200)), options, assumptions)
        return code, stream.getvalue()

    return run


def test_a_wrong_assumption_fails_the_command(check: Check) -> None:
    code, output = check(lambda testbed: testbed.status(testbed.job()))
    assert code == 1
    assert "1 unexpected" in output


def test_a_failing_probe_is_cleaned_up(check: Check, aws: LocalAws) -> None:
    def fails(testbed: IotTestbed) -> str:
        testbed.group()
        testbed.job(2)
        assert len(created_resources(aws)) == 4
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check(fails)


@pytest.mark.parametrize("when", ["before-call", "before-send", "after-call"])
def test_an_interrupted_create_is_cleaned_up(check: Check, when: str) -> None:
    def interrupted(testbed: IotTestbed) -> str:
        def interrupt(**_: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        testbed.things(1)
        testbed.iot.meta.events.register_first(f"{when}.iot.CreateJob", interrupt)
        testbed.job()
        pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        check(interrupted)


def test_a_second_interrupt_does_not_stop_the_cleanup(check: Check) -> None:
    def interrupted(testbed: IotTestbed) -> str:
        testbed.job()
        testbed.iot.meta.events.register("before-send.iot.DeleteJob", lambda **_: os.kill(os.getpid(), signal.SIGINT))
        os.kill(os.getpid(), signal.SIGINT)
        return testbed.status("absent")

    with pytest.raises(KeyboardInterrupt):
        check(interrupted)


def test_a_real_account_gets_at_most_five_calls_per_second() -> None:
    options = argparse.Namespace(yes=True, endpoint_url=None, calls_per_second=5.1)
    with pytest.raises(ToolError, match="at most 5 calls a second"):
        verify.verify(Screen(Console(file=StringIO())), options)


def test_calls_are_rate_limited(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    slept: list[float] = []
    monkeypatch.setattr("tools.conformance.account.time.sleep", slept.append)
    monkeypatch.setattr("tools.conformance.account.time.monotonic", lambda: 0.0)
    account = Account(aws.endpoint_url, 5)
    for _ in range(3):
        account.iot.list_jobs()
    assert slept == pytest.approx([0.2, 0.4])
