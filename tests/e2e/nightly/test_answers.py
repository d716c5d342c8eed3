"""An answer that CloudFormation does not take: the function sends it six times."""

import pytest

from tests.e2e.conftest import Canceler
from tests.e2e.test_answers import answering, delete
from tests.support.response_url import Step


def metrics(canceler: Canceler, name: str) -> int:
    return sum(f'"{name}":[1.0]' in line for line in canceler.log.lines())


@pytest.mark.parametrize("step", [403, "CLOSE"])
def test_an_answer_that_nobody_takes_is_given_up_with_a_metric_and_an_error_for_lambda(
    canceler: Canceler, step: Step
) -> None:
    job_id, before = canceler.job("undelivered", started=0, queued=1), metrics(canceler, "ResponsesUndelivered")
    with answering(canceler, step) as server:
        failure = canceler.invoke(delete(server.url, job_id))
    assert "failed to send the response to CloudFormation" in failure["errorMessage"]
    assert len(server.received) == 6
    assert metrics(canceler, "ResponsesUndelivered") == before + 1
    assert canceler.report_on(job_id)["counts"] == {"CANCELED": 1}
