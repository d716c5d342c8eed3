"""`make verify-aws`, with MiniStack in the place of the account: it leaves nothing behind, however it ends."""

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

type Hold = Callable[[Callable[[IotTestbed], str]], tuple[int, str]]

PREFIX = "ijc-verify-"


def left_behind(aws: LocalAws) -> list[str]:
    """Jobs, things and groups that bear the prefix."""
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
def _nothing_is_left_behind(aws: LocalAws) -> Iterator[None]:
    yield
    assert left_behind(aws) == []


@pytest.fixture(autouse=True)
def _signals_are_heeded() -> Iterator[None]:
    """Also where the tests run in the background of a shell, which has them ignored, here and in every child."""
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


def test_every_assumption_is_held_against_the_account(aws: LocalAws) -> None:
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
def test_a_signal_in_the_middle_ends_it_when_it_has_cleaned_up(
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


@pytest.mark.parametrize("said", ["", "\n", "n\n"])
def test_nothing_is_done_unless_the_person_says_so(aws: LocalAws, said: str) -> None:
    with started(aws) as process:
        output, _ = process.communicate(said)
    assert process.returncode == 1
    assert "account 000000000000, Region eu-central-1, as arn:aws:iam::000000000000:root" in output
    assert "Nothing was done." in output


def test_it_begins_when_the_person_says_so(aws: LocalAws) -> None:
    with started(aws, *FAST[1:]) as process:
        output, _ = process.communicate("y\n")
    assert process.returncode == 0, output


def test_make_calls_it_with_the_arguments() -> None:
    told = subprocess.run(
        ["make", "--dry-run", "verify-aws", "ARGS=--yes"],  # noqa: S607 - the one on the PATH
        cwd=sam.ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert "python -m tools verify-aws --yes" in told.stdout.splitlines()


# In this process, so that it is known where it is when something happens


@pytest.fixture
def hold(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> Hold:
    """Hold one probe against the account: what is printed."""
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)

    def run(probe: Callable[[IotTestbed], str]) -> tuple[int, str]:
        stream = StringIO()
        options = argparse.Namespace(yes=True, endpoint_url=aws.endpoint_url, calls_per_second=1000.0)
        assumptions = [Assumption("the-assumption", "", Evidence.DOCUMENTED, ("seen",), probe)]
        code = verify.verify(Screen(Console(file=stream, width=200)), options, assumptions)
        return code, stream.getvalue()

    return run


def test_what_is_not_as_assumed_fails_the_command(hold: Hold) -> None:
    code, output = hold(lambda testbed: testbed.status(testbed.job()))
    assert code == 1
    assert "1 unexpected" in output


def test_a_probe_that_breaks_leaves_nothing_behind(hold: Hold, aws: LocalAws) -> None:
    def breaks(testbed: IotTestbed) -> str:
        testbed.group()
        testbed.job(2)
        assert len(left_behind(aws)) == 4
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hold(breaks)


@pytest.mark.parametrize("when", ["before-call", "before-send", "after-call"])
def test_ctrl_c_in_the_middle_of_the_call_that_makes_something(hold: Hold, when: str) -> None:
    def interrupted(testbed: IotTestbed) -> str:
        def interrupt(**_: object) -> None:
            os.kill(os.getpid(), signal.SIGINT)

        testbed.things(1)
        testbed.iot.meta.events.register_first(f"{when}.iot.CreateJob", interrupt)
        testbed.job()
        pytest.fail("it went on")

    with pytest.raises(KeyboardInterrupt):
        hold(interrupted)


def test_a_second_ctrl_c_does_not_end_the_clean_up(hold: Hold) -> None:
    def interrupted(testbed: IotTestbed) -> str:
        testbed.job()
        testbed.iot.meta.events.register("before-send.iot.DeleteJob", lambda **_: os.kill(os.getpid(), signal.SIGINT))
        os.kill(os.getpid(), signal.SIGINT)
        return testbed.status("absent")

    with pytest.raises(KeyboardInterrupt):
        hold(interrupted)


def test_a_real_account_is_not_called_more_often_than_five_times_a_second() -> None:
    options = argparse.Namespace(yes=True, endpoint_url=None, calls_per_second=5.1)
    with pytest.raises(ToolError, match="at most 5 calls a second"):
        verify.verify(Screen(Console(file=StringIO())), options)


def test_calls_are_paced(aws: LocalAws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    slept: list[float] = []
    monkeypatch.setattr("tools.conformance.account.time.sleep", slept.append)
    monkeypatch.setattr("tools.conformance.account.time.monotonic", lambda: 0.0)
    account = Account(aws.endpoint_url, 5)
    for _ in range(3):
        account.iot.list_jobs()
    assert slept == pytest.approx([0.2, 0.4])
