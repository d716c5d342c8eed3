"""The exception tree: what is caught together, and what each error tells."""

import pytest

from handler import errors

TREE = {
    "CancelerError": "Exception",
    "RequestRejected": "CancelerError",
    "InvalidConfiguration": "CancelerError",
    "BacklogRefused": "CancelerError",
    "BacklogUnavailable": "BacklogRefused",
    "ResponseUndelivered": "CancelerError",
    "JobsError": "CancelerError",
    "JobNotFound": "JobsError",
    "JobNotCancelable": "JobsError",
    "ExecutionEnded": "JobNotCancelable",
    "AccessDenied": "JobsError",
    "JobsUnavailable": "JobsError",
    "OutOfTime": "JobsUnavailable",
}


def test_the_tree_is_the_one_that_the_docstring_draws() -> None:
    found = {name: kind.mro()[1].__name__ for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert found == TREE


@pytest.mark.parametrize("name", TREE)
def test_the_docstring_names_every_error(name: str) -> None:
    assert name in str(errors.__doc__)


def test_a_rejection_names_the_field_and_what_it_allows() -> None:
    rejection = errors.RequestRejected("maxJobs", "must be a whole number")
    assert (rejection.field, rejection.allowed) == ("maxJobs", "must be a whole number")
    assert str(rejection) == "maxJobs: must be a whole number"


def test_an_invalid_configuration_names_the_variable_and_what_it_may_hold() -> None:
    error = errors.InvalidConfiguration("FORCE", "must be true or false")
    assert error.variable == "FORCE"
    assert str(error) == "environment variable FORCE: must be true or false"


def test_an_error_of_the_service_keeps_its_code() -> None:
    error = errors.JobsUnavailable("ThrottlingException", "Rate exceeded")
    assert error.code == "ThrottlingException"
    assert str(error) == "ThrottlingException: Rate exceeded"
