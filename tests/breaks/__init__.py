"""Breaks: changes of the code that violate a guarantee, and the test that must fail with each of them.

A break replaces a piece of src/handler. `make breaks` tries all of them in a copy of the project.
"""

from typing import NamedTuple


class Break(NamedTuple):
    """A violation of the guarantee: `text` of the module is replaced by `instead`, and the test must fail."""

    guarantee: str
    what: str
    module: str
    text: str
    instead: str
    test: str


CONVERGENT = "1 convergent"
SAFER = "2 only safer"
FAILS_CLOSED = "3 fails closed"
NOTHING_LOST = "4 nothing lost"
RESPONDS = "5 always responds"
NO_SECRET = "6 no secret"

BREAKS = [
    Break(
        RESPONDS,
        "a teardown is left to its message although the visibility timeout could not be changed",
        "pipeline",
        "if following.attributes is None and self._redeliver_after(following.seconds):",
        "if following.attributes is None and (self._redeliver_after(following.seconds) or True):",
        "tests/function/test_waits.py"
        "::test_failed_change_of_a_visibility_timeout_neither_delays_nor_decides_the_response",
    ),
    Break(
        CONVERGENT,
        "jobs of the selection after a wait are checked against the job limit again, unless a call was throttled",
        "cancellation/wait",
        "wait = report.wait._replace(job_ids=tuple(dict.fromkeys([*wait.job_ids, *job_ids])))",
        "pass",
        "tests/unit/cancellation/test_run.py::test_throttling_does_not_decide_about_the_limit_of_a_wait_that_goes_on",
    ),
    Break(
        CONVERGENT,
        "the refusal of CancelJob decides, not the status that is read back",
        "cancellation/cancel",
        "            return _terminal(job, Outcome.ALREADY_CANCELED)\n        return _terminal(job, Outcome.CANCELED",
        "            return _result(job, Outcome.FAILED)\n        return _terminal(job, Outcome.CANCELED",
        "tests/unit/cancellation/test_cancel.py::test_job_has_the_expected_outcome",
    ),
    Break(
        CONVERGENT,
        "a repeated deletion ignores the jobs that the first one canceled",
        "cancellation/run",
        "if not _has_deferred(results.values()) and _needs_earlier_cancellations(request, trigger):",
        "if False:",
        "tests/function/test_waits.py::test_redelivered_deletion_gets_the_same_response_once_its_devices_are_done",
    ),
    Break(
        CONVERGENT,
        "a poll cancels another job that reuses the id",
        "cancellation/cancel",
        "if describe_first and request.criteria and job.status not in TERMINAL_STATUSES:",
        "if False:",
        "tests/properties/test_account.py::test_poll_does_not_cancel_a_new_job_with_the_same_id",
    ),
    Break(
        CONVERGENT,
        "a deletion does not select again after its wait",
        "cancellation/run",
        "return replace(selected, jobs=jobs, status=_worse_status(selected.status, jobs), wait=wait)",
        "return polled",
        "tests/properties/test_account.py::test_deletion_waits_for_jobs_canceled_by_its_second_delivery",
    ),
    Break(
        SAFER,
        "a request turns force on",
        "cancellation/request",
        "if force and not (limits.of_teardowns.force if dry_run else limits.force):",
        "if False:",
        "tests/properties/test_request_limits.py::test_no_request_exceeds_the_limits_of_the_stack",
    ),
    Break(
        SAFER,
        "a request turns dry run off",
        "cancellation/request",
        "if limits.dry_run and not dry_run:",
        "if False:",
        "tests/properties/test_request_limits.py::test_no_request_exceeds_the_limits_of_the_stack",
    ),
    Break(
        SAFER,
        "a request raises the job limit",
        "cancellation/request",
        "not 1 <= value <= limits.max_jobs:",
        "value < 1:",
        "tests/properties/test_request_limits.py::test_no_request_exceeds_the_limits_of_the_stack",
    ),
    Break(
        SAFER,
        "JobIdPrefix is ignored",
        "cancellation/cancel",
        "    if job_id.startswith(prefix):\n        return None",
        "    if True:\n        return None",
        "tests/unit/cancellation/test_cancel.py::test_dry_run_and_prefix_prevent_cancel_job",
    ),
    Break(
        SAFER,
        "MaxForcedExecutions is ignored",
        "cancellation/cancel",
        "if not request.force or number <= limit:",
        "if True:",
        "tests/unit/cancellation/test_cancel.py::test_nothing_is_canceled_above_the_limit_of_executions",
    ),
    Break(
        FAILS_CLOSED,
        "unknown keys are ignored",
        "cancellation/validation",
        "if unknown:",
        "if False:",
        "tests/properties/test_request_limits.py::test_unknown_key_is_rejected",
    ),
    Break(
        FAILS_CLOSED,
        "a selection over the job limit is canceled",
        "cancellation/run",
        "if is_first:\n            check_job_limit(",
        "if False:\n            check_job_limit(",
        "tests/unit/cancellation/test_run.py::test_selection_over_the_job_limit_is_rejected_before_any_cancel",
    ),
    Break(
        CONVERGENT,
        "jobs of a later round are checked against the job limit, unless a throttled call has ended the attempt",
        "cancellation/run",
        'if is_first:\n            check_job_limit(\n                "select",\n                len(new),',
        "if not limit_checked:\n            check_job_limit(\n"
        '                "select",\n                len(results) + len(new),',
        "tests/unit/cancellation/test_run.py::test_throttling_does_not_decide_about_jobs_created_during_a_teardown",
    ),
    Break(
        SAFER,
        "a rollout that has not begun is stale if it was planned long ago",
        "cancellation/criteria",
        "if not starts_at or not self.older_than_hours:",
        "if True:",
        "tests/unit/cancellation/test_run.py::test_rollout_that_has_not_begun_long_ago_is_not_stale",
    ),
    Break(
        FAILS_CLOSED,
        "a custom resource's Select passes over CONTINUOUS jobs",
        "cloudformation/properties",
        'return {"targetSelection": ["SNAPSHOT", "CONTINUOUS"], **criteria}',
        "return criteria",
        "tests/template/test_public_contract.py::test_select_of_a_teardown_covers_continuous_jobs_too",
    ),
    Break(
        FAILS_CLOSED,
        "the selection after a wait is not checked against the job limit",
        "cancellation/run",
        "trigger, limit_checked=wait.limit_checked)",
        "trigger, limit_checked=True)",
        "tests/unit/cancellation/test_run.py::test_selection_after_a_wait_is_checked_against_the_job_limit",
    ),
    Break(
        FAILS_CLOSED,
        "a failed listing is treated as empty",
        "cancellation/run",
        'return _unfinished(request, trigger, results.values(), f"the selection failed: {error}")',
        "break",
        "tests/unit/cancellation/test_run.py::test_temporary_error_of_a_listing_leaves_the_run_unfinished",
    ),
    Break(
        FAILS_CLOSED,
        "an unreadable flag of a deletion is treated as omitted",
        "cancellation/request",
        "readable[option] = SAFE_VALUES[option]",
        "del readable[option]",
        "tests/unit/cloudformation/test_properties.py"
        "::test_lenient_reading_ignores_an_unreadable_property_with_a_warning",
    ),
    Break(
        FAILS_CLOSED,
        "Terraform gets no error for a deletion that is not settled",
        "inbound/terraform",
        "failure = joined(unsettled_reason(report), what_next)",
        'failure = ""',
        "tests/function/test_terraform.py::test_a_failed_deletion_is_raised_and_a_repeated_one_continues",
    ),
    Break(
        NOTHING_LOST,
        "an unfinished event is not enqueued",
        "pipeline",
        "self.services.queues.enqueue(self.delivery.payload, following.attributes, following.seconds)",
        "pass",
        "tests/function/test_app.py::test_unfinished_event_is_enqueued_unchanged",
    ),
    Break(
        NOTHING_LOST,
        "a message is deleted although its event is unfinished",
        "pipeline",
        "return self.next is not None and self.next.attributes is None",
        "return False",
        "tests/function/test_app.py::test_unfinished_message_is_redelivered_with_increasing_delay",
    ),
    Break(
        NOTHING_LOST,
        "a throttled job counts as settled",
        "cancellation/report",
        "return self not in {Outcome.PROTECTED, Outcome.DEFERRED, Outcome.FAILED}",
        "return self not in {Outcome.PROTECTED, Outcome.FAILED}",
        "tests/unit/cancellation/test_report.py::test_only_three_outcomes_are_not_settled",
    ),
    Break(
        RESPONDS,
        "an error status is treated as delivered",
        "cloudformation/response",
        "if 200 <= response.status < 300 else",
        "if 200 <= response.status < 600 else",
        "tests/unit/cloudformation/test_lifecycle.py::test_an_error_status_is_not_delivery",
    ),
    Break(
        RESPONDS,
        "the timer and the handler both respond",
        "cloudformation/lifecycle",
        "return self._claimant == claimant",
        "return True",
        "tests/unit/cloudformation/test_lifecycle.py::test_the_timer_responds_and_the_late_response_is_not_sent",
    ),
    Break(
        RESPONDS,
        "the timer never responds for an invocation that hangs",
        "cloudformation/lifecycle",
        "        self._timer.start()\n",
        "",
        "tests/unit/cloudformation/test_lifecycle.py::test_the_timer_responds_and_the_late_response_is_not_sent",
    ),
    Break(
        RESPONDS,
        "an undelivered response is not raised to Lambda",
        "app",
        "    if result.delivery_error:\n        raise",
        "    if False:\n        raise",
        "tests/template/test_public_contract.py::test_each_other_metric_is_counted_once",
    ),
    Break(
        RESPONDS,
        "a short outage of SQS fails a deletion",
        "inbound/delivery",
        "return not is_last and respond_by",
        "return False and respond_by",
        "tests/function/test_app.py::test_teardown_is_raised_to_lambda_if_its_queue_is_unavailable",
    ),
    Break(
        RESPONDS,
        "a deletion gets no response if SQS stays unavailable",
        "inbound/delivery",
        "return not is_last and respond_by",
        "return True or respond_by",
        "tests/function/test_app.py::test_last_attempt_of_lambda_responds_if_the_queue_stays_unavailable",
    ),
    Break(
        RESPONDS,
        "the response to a Delete has another PhysicalResourceId",
        "cloudformation/request",
        'return self.physical_id or f"{_FAILED_CREATE}',
        'return f"{_FAILED_CREATE}',
        "tests/unit/cloudformation/test_request.py::test_the_fallback_id_is_the_physical_id_or_marks_a_failed_create",
    ),
    Break(
        NO_SECRET,
        "nothing is redacted",
        "redaction",
        'return _SIGNATURE.sub(r"\\1=REDACTED", _QUERY.sub(r"\\1?REDACTED", text))',
        "return text",
        "tests/unit/test_telemetry.py::test_the_query_string_of_every_url_is_redacted",
    ),
    Break(
        NO_SECRET,
        "a published report is not redacted",
        "aws/eventbridge",
        "json.loads(redact(json.dumps(_audit_keys(report) | report.as_dict(), ensure_ascii=False)))",
        "_audit_keys(report) | report.as_dict()",
        "tests/unit/aws/test_eventbridge.py::test_no_secret_is_published",
    ),
    Break(
        NO_SECRET,
        "crhelper writes its own log lines",
        "cloudformation/lifecycle",
        'for name in ("crhelper.resource_helper", "crhelper.utils"):',
        "for name in ():",
        "tests/unit/cloudformation/test_lifecycle.py::test_no_log_contains_the_query_of_the_response_url",
    ),
    Break(
        CONVERGENT,
        "another attempt of a throttled call ignores the rate limit",
        "aws/iot",
        "        while True:\n            self._gate.acquire(operation)\n",
        "        self._gate.acquire(operation)\n        while True:\n",
        "tests/unit/aws/test_iot.py::test_each_attempt_passes_the_gate",
    ),
    Break(
        RESPONDS,
        "a throttled call is repeated although there is no time for it",
        "cancellation/rate",
        "return self.pause(self._uniform(0.0, MAX_BACKOFF_SECONDS))",
        "self._rate_limits.sleep(self._uniform(0.0, MAX_BACKOFF_SECONDS))\n        return True",
        "tests/unit/aws/test_iot.py::test_a_call_has_no_further_attempt_without_time_for_it",
    ),
    Break(
        SAFER,
        "a job without RequiredTag is canceled",
        "cancellation/request",
        "if (required_key.lower(), value) in by_key:",
        "if True:",
        "tests/unit/cancellation/test_cancel.py::test_job_has_the_expected_outcome",
    ),
    Break(
        SAFER,
        "Force=TEARDOWN forces every trigger",
        "config",
        'force=_force(env) == "true",',
        'force=_force(env) != "false",',
        "tests/unit/test_config.py::test_force_on_teardowns_only",
    ),
    Break(
        NOTHING_LOST,
        "work on the queue is dropped when DryRun is set",
        "pipeline",
        "is_dry_run = report.dry_run and not self._is_paused",
        "is_dry_run = report.dry_run",
        "tests/function/test_paused_runs.py::test_work_on_the_queue_waits_until_dry_run_is_lifted",
    ),
    Break(
        FAILS_CLOSED,
        "a paused deletion succeeds although jobs are active",
        "cloudformation/teardown",
        "if report.dry_run and not is_paused and report.status",
        "if report.dry_run and report.status",
        "tests/function/test_paused_runs.py::test_deletion_responds_as_without_a_dry_run_if_jobs_stay_active_until_the_end",
    ),
    Break(
        SAFER,
        "a request with planId does something else than was planned",
        "cancellation/plan",
        "if job_ids and request.plan_id and plan_id_of(job_ids, request) != request.plan_id:",
        "if False:",
        "tests/properties/test_plans.py::test_request_with_a_plan_id_does_exactly_what_was_planned",
    ),
    Break(
        SAFER,
        "a plan that continues cancels jobs that were created since",
        "cancellation/run",
        "if request.criteria and not session.planned:",
        "if request.criteria:",
        "tests/function/test_plans.py::test_plan_that_continues_from_the_queue_cancels_exactly_its_jobs",
    ),
    Break(
        NOTHING_LOST,
        "a message of a later format is acted upon",
        "app",
        "if message and delivery.has_unknown_format:",
        "if False:",
        "tests/template/test_messages_in_flight.py::test_a_message_of_a_later_format_stays_on_its_queue",
    ),
]
