"""The function's own clients over sockets without a network, and simulations on them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import pytest
import urllib3
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import RetryContext

from handler.aws.eventbridge import events_client
from handler.aws.iot import iot_client
from handler.aws.sqs import sqs_client
from tests.conftest import Log
from tests.faults.matrix import NewSimulation
from tests.faults.scenarios import Scenario
from tests.faults.simulation import CountedJobs, Simulation
from tests.faults.sockets import Request, all_served_by
from tests.faults.tally import Tally
from tests.support.aws_lambda import new_services
from tests.support.fakes import FakeClock, config
from tools.simulators.iot import IotSimulator


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    """Count the combinations of one test."""
    return Tally(record_property)


def _greatest_delay(_backoff: object, context: RetryContext) -> float:
    return float(2 ** (context.attempt_number - 1))


def one_second(_least: float, _most: float) -> float:
    """Draw the jitter of IoT calls."""
    return 1.0


@pytest.fixture(scope="package")
def new_simulation(new_log: Callable[[], Log]) -> Iterator[NewSimulation]:
    """Create simulations one after the other, over the same clients. The SDK sleeps on the clock of the simulation."""
    simulations: list[Simulation] = []
    quotas: list[RetryQuota] = []

    def serve(request: Request, timeout: float) -> bytes:
        return simulations[-1].serve(request, timeout)

    def sleep(seconds: float) -> None:
        simulations[-1].clock.sleep(seconds)

    def new_quota() -> RetryQuota:
        quotas.append(RetryQuota())
        return quotas[-1]

    with pytest.MonkeyPatch.context() as patch, all_served_by(serve):
        for name, value in {
            "DEFAULT_REGION": "eu-west-1",
            "ACCESS_KEY_ID": "test",
            "SECRET_ACCESS_KEY": "test",
        }.items():
            patch.setenv(f"AWS_{name}", value)
        for name in ("SESSION_TOKEN", "PROFILE", "ENDPOINT_URL"):
            patch.delenv(f"AWS_{name}", raising=False)
        patch.setattr("botocore.retries.quota.RetryQuota", new_quota)
        patch.setattr("botocore.retries.standard.ExponentialBackoff.delay_amount", _greatest_delay)
        patch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=sleep))
        patch.setattr("botocore.useragent.UserAgentString.to_string", lambda _self: "test")
        patch.setattr("botocore.signers.RequestSigner.sign", lambda *_args, **_kwargs: None)
        iot, sqs, bus, http, log = iot_client(), sqs_client(), events_client(), urllib3.PoolManager(), new_log()

        def new(scenario: Scenario) -> Simulation:
            log.stream.seek(0)
            log.stream.truncate()
            for quota in quotas:
                quota.release(10_000)
            clock = FakeClock()
            backend = IotSimulator(now=clock.utc_now)
            backend.denied_tag = "cancel-protection"  # as the IAM policies of template.yaml
            backend.required_tag = scenario.limits.required_tag
            for job_id, fields in {**scenario.others, **scenario.jobs}.items():
                backend.add_job(job_id, **fields)
            services = new_services(
                replace(config(limits=scenario.limits), **scenario.parameters),
                clock,
                log.telemetry,
                jobs_api=partial(CountedJobs, iot),
                sqs=sqs,
                events=bus,
                http=http,
                uniform=one_second,
            )
            simulation = Simulation(services, backend, clock, log)
            simulation.reports_at = dict(scenario.reports_at)
            simulation.matching = scenario.matching
            simulation.waits = bool(scenario.reports_at) or scenario.limits.force
            simulations[:] = [simulation]
            return simulation

        yield new
        http.clear()
