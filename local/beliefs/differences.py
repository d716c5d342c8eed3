"""Where a local AWS is not as AWS is believed to be: all of it, and nothing else. The tests hold it to that."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .belief import Belief


class Backend(StrEnum):
    """What the beliefs are held against. MOTO is the one with tools/simulators/iot.py."""

    AWS = "AWS"
    MINISTACK = "MiniStack"
    MOTO = "moto"


@dataclass(frozen=True, slots=True)
class Difference:
    """`instead` is what the probe of the belief gives there."""

    backend: Backend
    belief: str
    instead: str


_NOT_CHECKED = "accepted; CANCELED"

DIFFERENCES = (
    Difference(Backend.MINISTACK, "id-pattern", "ResourceNotFoundException, ResourceNotFoundException"),
    Difference(Backend.MINISTACK, "id-length", "ResourceNotFoundException, ResourceNotFoundException"),
    Difference(Backend.MINISTACK, "reason-pattern", _NOT_CHECKED),
    Difference(Backend.MINISTACK, "reason-length", _NOT_CHECKED),
    Difference(Backend.MINISTACK, "comment-length", _NOT_CHECKED),
    Difference(Backend.MINISTACK, "comment-pattern", _NOT_CHECKED),
    Difference(Backend.MINISTACK, "status-scheduled", "IN_PROGRESS"),
    Difference(Backend.MINISTACK, "list-paging", "3, 3 different, at most 3 a page"),
)

_INSTEAD: Mapping[tuple[Backend, str], str] = {(each.backend, each.belief): each.instead for each in DIFFERENCES}


def expected_of(backend: Backend, belief: Belief) -> tuple[str, ...]:
    """What there is to see: what is believed of AWS, or the difference."""
    instead = _INSTEAD.get((backend, belief.name))
    return belief.expected if instead is None else (instead,)
