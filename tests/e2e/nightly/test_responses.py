"""A response that CloudFormation refuses: the function sends it six times."""

import pytest

from tests.e2e.conftest import Canceler
from tests.e2e.test_responses import delete, response_server
from tests.support.response_url import Step


def metrics(canceler: Canceler, name: str) -> int:
    return sum(f'"{name}":[1.0]' in line for line in canceler.log.lines())


@pytest.mark.parametrize("step", [403, "CLOSE"])
def test_an_undelivered_response_is_counted_and_raised(canceler: Canceler, step: Step) -> None:
    job_id, before = canceler.job("undelivered", started=0, queued=1), metrics(canceler, "ResponsesUndelivered")
    with response_server(canceler, step) as server:
        failure = canceler.invoke(delete(server.url, job_id))
    assert "failed to send the response to CloudFormation" in failure["errorMessage"]
    assert len(server.received) == 6
    assert metrics(canceler, "ResponsesUndelivered") == before + 1
    assert canceler.report_on(job_id)["counts"] == {"CANCELED": 1}
