"""Log lines and metrics, and the redaction of the query strings of URLs."""

import json
from collections.abc import Callable
from io import BytesIO, StringIO, TextIOWrapper
from typing import Any

import pytest

from handler.cancellation.report import JobResult, Outcome, Report, RunStatus, Trigger, Wait
from handler.redaction import redact
from handler.telemetry import Telemetry
from handler.version import VERSION
from tests.conftest import Log

SIGNED = "https://bucket.s3.eu-west-1.amazonaws.com/path?X-Amz-Signature=secret&X-Amz-Expires=7199"
REDACTED = "https://bucket.s3.eu-west-1.amazonaws.com/path?REDACTED"


@pytest.fixture
def metrics(capsys: pytest.CaptureFixture[str]) -> Callable[[], list[dict[str, Any]]]:
    """Return a function that returns the EMF records printed since its last call, without their timestamps."""

    def read() -> list[dict[str, Any]]:
        found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        for record in found:
            del record["_aws"]["Timestamp"]
        return found

    return read


def emf(trigger: str, **values: float) -> dict[str, Any]:
    names = [{"Name": name, "Unit": "Count"} for name in values]
    return {
        "_aws": {
            "CloudWatchMetrics": [
                {"Namespace": "IoTJobCanceler", "Dimensions": [["trigger", "service"], ["service"]], "Metrics": names}
            ]
        },
        "trigger": trigger,
        "service": "canceler",
        **{name: [value] for name, value in values.items()},
    }


def division_by_zero(text: str) -> ZeroDivisionError:
    """Return an error that was raised, so that it has a traceback."""
    with pytest.raises(ZeroDivisionError) as caught:
        raise ZeroDivisionError(text)
    return caught.value


# Redaction


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("nothing to hide", "nothing to hide"),
        ("what? this stays", "what? this stays"),
        ("https://example.com/path", "https://example.com/path"),
        (SIGNED, REDACTED),
        (f"to {SIGNED}, twice {SIGNED}", f"to {REDACTED} twice {REDACTED}"),
        (f'{{"ResponseURL": "{SIGNED}", "x": 1}}', f'{{"ResponseURL": "{REDACTED}", "x": 1}}'),
        (f"{SIGNED}\nnext", f"{REDACTED}\nnext"),
        ("http://localhost:4566/p?a=1", "http://localhost:4566/p?REDACTED"),
        ("https://example.com?a=1", "https://example.com?REDACTED"),
        ("https://example.com/p?a=1?b=2", "https://example.com/p?REDACTED"),
        ("https://example.com/p?", "https://example.com/p?REDACTED"),
        ("https://example.com/p?secret", "https://example.com/p?REDACTED"),
        ("HTTPS://EXAMPLE.COM/P?A=1", "HTTPS://EXAMPLE.COM/P?REDACTED"),
        ("Https://example.com/p?a=1", "Https://example.com/p?REDACTED"),
        ("", ""),
    ],
)
def test_the_query_string_of_every_url_is_redacted(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_a_url_is_redacted_anywhere_in_a_line(log: Log) -> None:
    log.telemetry.start(Trigger.DIRECT, SIGNED, SIGNED)
    log.telemetry.warn(SIGNED)
    log.telemetry.crashed(division_by_zero(SIGNED))
    log.telemetry.report(Report(RunStatus.REJECTED, Trigger.DIRECT, reason=SIGNED))
    assert len(log.lines) == 3
    assert "secret" not in log.text
    assert log.text.count("?REDACTED") >= 9


# Log lines


def test_every_line_has_the_ids_and_the_trigger(log: Log) -> None:
    log.telemetry.start(Trigger.TEARDOWN, "correlation-1", "invocation-1")
    log.telemetry.warn("ignored property Comment")
    (line,) = log.lines
    assert (line["level"], line["message"]) == ("WARNING", "ignored property Comment")
    assert (line["correlation_id"], line["function_request_id"], line["trigger"]) == (
        "correlation-1",
        "invocation-1",
        "TEARDOWN",
    )


def test_every_line_has_the_version(log: Log) -> None:
    log.telemetry.warn("before the invocation is known")
    log.telemetry.start(Trigger.TEARDOWN, "correlation-1", "invocation-1")
    log.telemetry.crashed(division_by_zero("why"))
    log.telemetry.report(Report(RunStatus.SETTLED, Trigger.TEARDOWN))
    assert [line["version"] for line in log.lines] == [VERSION] * 3


def test_an_invocation_replaces_the_keys_of_the_last_one(log: Log, metrics: Callable[[], list[dict[str, Any]]]) -> None:
    log.telemetry.start(Trigger.TEARDOWN, "correlation-1", "invocation-1")
    log.telemetry.start(Trigger.EVENT, "correlation-2", "invocation-2")
    log.telemetry.warn("x")
    log.telemetry.count("UnexpectedErrors")
    (line,) = log.lines
    assert (line["correlation_id"], line["function_request_id"], line["trigger"]) == (
        "correlation-2",
        "invocation-2",
        "EVENT",
    )
    assert metrics() == [emf("EVENT", UnexpectedErrors=1.0)]


def test_a_crash_is_logged_with_its_stack_trace_and_counted(
    log: Log, metrics: Callable[[], list[dict[str, Any]]]
) -> None:
    log.telemetry.start(Trigger.SCHEDULE, "c", "i")
    log.telemetry.crashed(division_by_zero("why"))
    (line,) = log.lines
    assert (line["level"], line["message"], line["exception_name"]) == (
        "ERROR",
        "unexpected error",
        "ZeroDivisionError",
    )
    assert "in division_by_zero" in line["exception"]
    assert metrics() == [emf("SCHEDULE", UnexpectedErrors=1.0)]


def test_a_count_is_written_at_once(log: Log, metrics: Callable[[], list[dict[str, Any]]]) -> None:
    log.telemetry.count("TeardownsOutOfTime")
    assert metrics() == [emf("DIRECT", TeardownsOutOfTime=1.0)]


def test_a_value_that_json_cannot_represent_is_logged_as_text(log: Log) -> None:
    log.telemetry.start(Trigger.DIRECT, "c", "i")
    log.telemetry._logger.info("x", extra={"odd": {1, 2} - {2}})
    assert log.lines[0]["odd"] == "{1}"


@pytest.mark.parametrize("text", ["ü", "\u2028", "\U0001f600", "\ud800", "a\nb", '"', "\\", "\x00"])
def test_any_text_becomes_one_line_of_json_in_utf_8(
    text: str,
    powertools_environment: None,  # noqa: ARG001 - for its effect
) -> None:
    """The standard output of Lambda is UTF-8, which cannot encode half a surrogate pair."""
    written = BytesIO()
    telemetry = Telemetry(f"test-{text!a}", TextIOWrapper(written, encoding="utf-8", write_through=True))
    telemetry._logger._logger.propagate = False  # pytest would capture the line, and fail to write it
    telemetry.start(Trigger.EVENT, text, "i")
    telemetry.warn(text)
    (line,) = written.getvalue().rstrip(b"\n").split(b"\n")
    logged = json.loads(line)
    assert (logged["message"], logged["correlation_id"]) == (text, text)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("\x1b[2J", "\\u001b[2J"),
        ("\x9b2J", "\\u009b2J"),
        ("\x7f", "\\u007f"),
        ("\x85", "\\u0085"),
        ("\u2028", "\\u2028"),
        ("\u202e", "\\u202e"),
        ("\u2066", "\\u2066"),
        ("\U000e0001", "\\udb40\\udc01"),
        ("Größe 😀", "Größe 😀"),
    ],
)
def test_control_characters_are_escaped(text: str, written: str, log: Log) -> None:
    log.telemetry.start(Trigger.EVENT, text, "i")
    log.telemetry.warn(text)
    assert log.text.count(f'"{written}"') == 2
    assert len(log.text.splitlines()) == 1
    assert log.lines[0]["message"] == text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("X-Amz-Signature=secret", "X-Amz-Signature=REDACTED"),
        ("x-amz-security-token=secret&b=1", "x-amz-security-token=REDACTED&b=1"),
        ("path?a=1&X-Amz-Credential=secret end", "path?a=1&X-Amz-Credential=REDACTED end"),
        ("X-Amz-Signature: none", "X-Amz-Signature: none"),
    ],
)
def test_a_request_signature_is_redacted_without_its_url_too(text: str, redacted: str) -> None:
    assert redact(text) == redacted


def test_a_query_is_redacted_to_its_end(log: Log) -> None:
    log.telemetry.warn("https://example.com/p?a=ü&X=topsecret")
    assert log.lines[0]["message"] == "https://example.com/p?REDACTED"


def test_a_message_that_is_json_remains_text(log: Log) -> None:
    log.telemetry.warn('{"level": "DEBUG"}')
    assert (log.lines[0]["message"], log.lines[0]["level"]) == ('{"level": "DEBUG"}', "WARNING")


# The report


@pytest.mark.parametrize(
    ("status", "level", "metric"),
    [
        ("SETTLED", "INFO", "RunsSettled"),
        ("IGNORED", "INFO", "RunsIgnored"),
        ("UNSETTLED", "WARNING", "RunsUnsettled"),
        ("UNFINISHED", "WARNING", "RunsUnfinished"),
        ("REJECTED", "WARNING", "RunsRejected"),
    ],
)
def test_a_run_is_counted_and_logged_by_its_status(
    status: str, level: str, metric: str, log: Log, metrics: Callable[[], list[dict[str, Any]]]
) -> None:
    log.telemetry.start(Trigger.EVENT, "c", "i")
    log.telemetry.report(Report(RunStatus(status), Trigger.EVENT))
    (line,) = log.lines
    assert (line["level"], line["message"], line["report"]["status"]) == (level, "report", status)
    assert metrics() == [emf("EVENT", **{metric: 1.0})]


@pytest.mark.parametrize("level", ["DEBUG", "WARNING", "ERROR"])
def test_reports_are_logged_at_any_level(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", level)
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "IoTJobCanceler")
    stream = StringIO()
    telemetry = Telemetry(f"at-{level}", stream)
    telemetry.start(Trigger.EVENT, "c", "i")
    telemetry.info("not a report")
    for status in RunStatus:
        telemetry.report(Report(status, Trigger.EVENT))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    reports = [line["report"]["status"] for line in lines if line["message"] == "report"]
    assert reports == ["SETTLED", "UNSETTLED", "UNFINISHED", "REJECTED", "IGNORED"]
    assert (lines[0]["message"] == "not a report") is (level == "DEBUG")
    assert {(line["service"], line["correlation_id"], line["version"]) for line in lines} == {
        (f"at-{level}", "c", VERSION)
    }


def test_executions_in_progress_are_counted(log: Log, metrics: Callable[[], list[dict[str, Any]]]) -> None:
    results = (
        JobResult("a", Outcome.CANCELED, executions_left_in_progress=2),
        JobResult("b", Outcome.FAILED, "no", executions_left_in_progress=3),
    )
    log.telemetry.report(Report(RunStatus.UNSETTLED, Trigger.DIRECT, jobs=results))
    assert metrics() == [
        emf("DIRECT", RunsUnsettled=1.0, JobsCanceled=1.0, JobsFailed=1.0, ExecutionsLeftInProgress=5.0)
    ]
    assert log.lines[0]["report"]["jobs"] == [
        {"jobId": "a", "outcome": "CANCELED", "detail": "", "executionsLeftInProgress": 2},
        {"jobId": "b", "outcome": "FAILED", "detail": "no", "executionsLeftInProgress": 3},
    ]


OUTCOMES = tuple(JobResult(outcome.lower(), outcome) for outcome in Outcome)


@pytest.mark.parametrize(
    ("is_first", "is_last", "counted"),
    [
        (True, True, "Canceled AlreadyCanceled AlreadyFinished Gone WouldCancel Protected Deferred Failed"),
        (True, False, "Canceled AlreadyCanceled AlreadyFinished Gone WouldCancel Deferred"),
        (False, True, "Canceled Protected Deferred Failed"),
        (False, False, "Canceled Deferred"),
    ],
)
def test_a_job_is_counted_in_one_delivery_of_its_event(
    is_first: bool, is_last: bool, counted: str, log: Log, metrics: Callable[[], list[dict[str, Any]]]
) -> None:
    report = Report(RunStatus.UNSETTLED, Trigger.DIRECT, jobs=OUTCOMES)
    log.telemetry.report(report, is_first=is_first, is_last=is_last)
    jobs = {f"Jobs{name}": 1.0 for name in counted.split()}
    assert metrics() == [emf("DIRECT", RunsUnsettled=1.0, **jobs, ExecutionsLeftInProgress=0.0)]
    assert len(log.lines[0]["report"]["jobs"]) == 8


@pytest.mark.parametrize(("status", "metric"), [("REJECTED", "ValidationsRejected"), ("SETTLED", "RunsSettled")])
def test_a_rejected_validation_has_a_metric_of_its_own(
    status: str, metric: str, log: Log, metrics: Callable[[], list[dict[str, Any]]]
) -> None:
    log.telemetry.report(Report(RunStatus(status), Trigger.DIRECT), is_validation=True)
    assert metrics() == [emf("DIRECT", **{metric: 1.0})]


def test_information_is_logged_at_info(log: Log) -> None:
    log.telemetry.info("rejected again: maxJobs")
    assert [(line["level"], line["message"]) for line in log.lines] == [("INFO", "rejected again: maxJobs")]


@pytest.mark.parametrize("count", [999, 1000])
def test_a_line_has_up_to_a_thousand_jobs(count: int, log: Log) -> None:
    jobs = tuple(JobResult(f"job-{number}", Outcome.CANCELED) for number in range(count))
    log.telemetry.report(Report(RunStatus.SETTLED, Trigger.SCHEDULE, jobs=jobs))
    assert len(log.lines[0]["report"]["jobs"]) == count


def test_a_line_of_more_jobs_has_only_the_unsettled_ones(log: Log, metrics: Callable[[], list[dict[str, Any]]]) -> None:
    jobs = (
        *(JobResult(f"job-{number}", Outcome.CANCELED) for number in range(999)),
        JobResult("denied", Outcome.FAILED, "no"),
        JobResult("protected", Outcome.PROTECTED, "tagged", 2),
    )
    log.telemetry.report(Report(RunStatus.UNSETTLED, Trigger.SCHEDULE, jobs=jobs))
    report = log.lines[0]["report"]
    assert report["counts"] == {"CANCELED": 999, "FAILED": 1, "PROTECTED": 1}
    assert report["executionsLeftInProgress"] == 2
    assert report["jobs"] == [
        {"jobId": "denied", "outcome": "FAILED", "detail": "no", "executionsLeftInProgress": 0},
        {"jobId": "protected", "outcome": "PROTECTED", "detail": "tagged", "executionsLeftInProgress": 2},
    ]
    assert metrics() == [
        emf(
            "DIRECT",
            RunsUnsettled=1.0,
            JobsCanceled=999.0,
            JobsFailed=1.0,
            JobsProtected=1.0,
            ExecutionsLeftInProgress=2.0,
        )
    ]


def test_a_line_is_smaller_than_a_megabyte(log: Log) -> None:
    jobs = tuple(JobResult("x" * 64, Outcome.DEFERRED, "d" * 200) for _ in range(25_000))
    log.telemetry.report(Report(RunStatus.UNFINISHED, Trigger.SCHEDULE, jobs=jobs))
    assert len(log.lines[0]["report"]["jobs"]) == 1000
    assert log.lines[0]["report"]["counts"] == {"DEFERRED": 25_000}
    assert len(log.text.encode()) < 1_000_000


def test_a_line_of_the_longest_descriptions_is_smaller_than_a_megabyte(log: Log) -> None:
    """A character that the line escapes takes up to twelve bytes."""
    job = JobResult("x" * 64, Outcome.FAILED, "d" * 400, arn="x" * 128, description="\U000e0100" * 2028)
    log.telemetry.report(Report(RunStatus.UNSETTLED, Trigger.SCHEDULE, jobs=(job,) * 100))
    jobs = log.lines[0]["report"]["jobs"]
    assert (len(jobs), {each["description"] for each in jobs}) == (100, {"\U000e0100" * 500})
    assert len(log.text.encode()) < 1_000_000


def test_a_description_in_a_line_is_redacted(log: Log) -> None:
    jobs = (JobResult("a", Outcome.CANCELED, arn="arn:a", description=f"image of {SIGNED}"),)
    log.telemetry.report(Report(RunStatus.SETTLED, Trigger.EVENT, jobs=jobs))
    (job,) = log.lines[0]["report"]["jobs"]
    assert (job["jobArn"], job["description"]) == ("arn:a", f"image of {REDACTED}")


def test_a_line_of_more_than_a_hundred_jobs_has_no_descriptions(log: Log) -> None:
    jobs = tuple(JobResult("a", Outcome.FAILED, "no", arn="arn:a", description="image") for _ in range(1001))
    for number in (101, 1000, 1001):
        log.telemetry.report(Report(RunStatus.UNSETTLED, Trigger.EVENT, jobs=jobs[:number]))
    keys = {tuple(job) for line in log.lines for job in line["report"]["jobs"]}
    assert keys == {("jobId", "outcome", "detail", "executionsLeftInProgress")}


@pytest.mark.parametrize(
    ("wait", "level"), [(Wait(("a",), 1_795_521_600.0, poll_seconds=20), "INFO"), (None, "WARNING")]
)
def test_a_run_that_waits_for_devices_is_not_a_warning(
    wait: Wait | None, level: str, log: Log, metrics: Callable[[], list[dict[str, Any]]]
) -> None:
    log.telemetry.start(Trigger.EVENT, "c", "i")
    log.telemetry.report(Report(RunStatus.UNFINISHED, Trigger.EVENT, wait=wait))
    (line,) = log.lines
    assert (line["level"], "wait" in line["report"]) == (level, False)
    assert metrics() == [emf("EVENT", RunsUnfinished=1.0)]
