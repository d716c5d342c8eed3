"""The type of an assumption: a claim about AWS IoT Jobs, the evidence for it, and a probe that checks it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from handler.errors import CancelerError
from tools.errors import ToolError

from .testbed import IotTestbed

type Probe = Callable[[IotTestbed], str | Callable[[], str]]


class Evidence(StrEnum):
    """The source of an assumption."""

    DOCUMENTED = "D"
    OBSERVED = "O"
    INFERRED = "I"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Assumption:
    """A claim about AWS IoT Jobs.

    `probe` prepares a job, acts on it, and returns the observation: a text, or a function that is called until it
    returns an expected text. Each text of `expected` is accepted. A documented or observed claim has exactly one. Other
    claims have one text for each behavior that the handler copes with, and their probes call the handler's own code.
    """

    name: str
    claim: str
    evidence: Evidence
    expected: tuple[str, ...]
    probe: Probe


def documented(name: str, claim: str, expected: str, probe: Probe) -> Assumption:
    """Create an assumption that AWS documents."""
    return Assumption(name, claim, Evidence.DOCUMENTED, (expected,), probe)


def observe(assumption: Assumption, testbed: IotTestbed, expected: tuple[str, ...]) -> str:
    """Run the probe until it returns an expected text or the testbed's timeout expires. An error is a result, too."""
    try:
        observation = assumption.probe(testbed)
        if isinstance(observation, str):
            return observation
        deadline = time.monotonic() + testbed.timeout_seconds
        while (observed := observation()) not in expected and time.monotonic() < deadline:
            time.sleep(testbed.timeout_seconds / 20)
    except ClientError as error:
        return f"{error.operation_name}: {error.response['Error']['Code']}"
    except (BotoCoreError, ToolError, CancelerError) as error:
        return f"{type(error).__name__}: {error}"
    return observed
