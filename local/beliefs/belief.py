"""What a belief is: a claim about AWS IoT Jobs, where it comes from, and how to see whether it holds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from botocore.exceptions import BotoCoreError, ClientError

from handler.errors import CancelerError
from local.errors import LocalError

from .scene import Scene

type Probe = Callable[[Scene], str | Callable[[], str]]


class Mark(StrEnum):
    """Where a belief comes from."""

    DOCUMENTED = "D"
    OBSERVED = "O"
    INFERRED = "I"
    UNKNOWN = "?"


@dataclass(frozen=True, slots=True)
class Belief:
    """`probe` arranges, acts and gives what is seen: a text, or a reading that is taken until it is as expected.

    Any text of `expected` will do. Of what is documented or observed there is one. Of the rest, they are the branches
    that the code copes with: the probe goes through the code's own adapter then.
    """

    name: str
    what: str
    mark: Mark
    expected: tuple[str, ...]
    probe: Probe


def look(belief: Belief, scene: Scene, expected: tuple[str, ...]) -> str:
    """What is seen, at the latest when the scene's patience is over. An error is a sight too."""
    try:
        sight = belief.probe(scene)
        if isinstance(sight, str):
            return sight
        until = time.monotonic() + scene.patience
        while (seen := sight()) not in expected and time.monotonic() < until:
            time.sleep(scene.patience / 20)
    except ClientError as error:
        return f"{error.operation_name}: {error.response['Error']['Code']}"
    except (BotoCoreError, LocalError, CancelerError) as error:
        return f"{type(error).__name__}: {error}"
    return seen
