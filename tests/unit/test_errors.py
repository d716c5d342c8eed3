"""The exception tree, and the message of each error."""

import pytest

from handler import errors

TREE = {
    "CancelerError": "Exception",
    "RequestRejected": "CancelerError",
    "InvalidConfiguration": "CancelerError",
    "EnqueueRefused": "CancelerError",
    "EnqueueUnavailable": "EnqueueRefused",
    "VisibilityUnchanged": "CancelerError",
    "MessageNotInFlight": "VisibilityUnchanged",
    "ResponseUndelivered": "CancelerError",
    "TeardownFailed": "CancelerError",
    "JobsError": "CancelerError",
    "JobNotFound": "JobsError",
    "JobNotCancelable": "JobsError",
    "ExecutionEnded": "JobNotCancelable",
    "AccessDenied": "JobsError",
    "JobsUnavailable": "JobsError",
    "OutOfTime": "JobsUnavailable",
}


def test_exception_tree_is_complete() -> None:
    found = {name: kind.mro()[1].__name__ for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert found == TREE


@pytest.mark.parametrize("name", TREE)
def test_module_docstring_names_every_error(name: str) -> None:
    assert name in str(errors.__doc__)


def test_request_rejected_names_the_field_and_what_it_allows() -> None:
    rejection = errors.RequestRejected("maxJobs", "must be a whole number")
    assert (rejection.field, rejection.allowed) == ("maxJobs", "must be a whole number")
    assert str(rejection) == "maxJobs: must be a whole number"


def test_request_rejected_has_property_names_for_a_template() -> None:
    rejection = errors.RequestRejected("select.status[1]", "must not be a key: the keys are ", "jobIdGlob", "tags")
    assert str(rejection) == "select.status[1]: must not be a key: the keys are jobIdGlob, tags"
    expected = "Select.Status[1]: must not be a key: the keys are JobIdGlob, Tags"
    assert str(rejection.in_template_spelling()) == expected


def test_invalid_configuration_names_the_variable_and_what_it_allows() -> None:
    error = errors.InvalidConfiguration("FORCE", "must be true or false")
    assert error.variable == "FORCE"
    assert str(error) == "environment variable FORCE: must be true or false"


def test_jobs_error_has_the_code_of_the_service() -> None:
    error = errors.JobsUnavailable("ThrottlingException", "Rate exceeded")
    assert error.code == "ThrottlingException"
    assert str(error) == "ThrottlingException: Rate exceeded"


def test_out_of_time_needs_no_arguments() -> None:
    assert str(errors.OutOfTime()) == "OutOfTime: no time left in this invocation"
