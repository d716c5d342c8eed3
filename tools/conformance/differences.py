"""Where a local AWS differs from the assumptions about AWS. The tests check that this list is complete and current."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from .assumption import Assumption


class Backend(StrEnum):
    """An implementation that the assumptions are checked against. MOTO has tools/simulators/iot.py."""

    AWS = "AWS"
    MINISTACK = "MiniStack"
    MOTO = "moto"


@dataclass(frozen=True, slots=True)
class Difference:
    """On `backend`, the probe of the assumption with this name returns `instead`."""

    backend: Backend
    assumption: str
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

_INSTEAD: Mapping[tuple[Backend, str], str] = {(each.backend, each.assumption): each.instead for each in DIFFERENCES}


def expected_of(backend: Backend, assumption: Assumption) -> tuple[str, ...]:
    """Return the texts that the probe may return on `backend`: those expected of AWS, or the known difference."""
    instead = _INSTEAD.get((backend, assumption.name))
    return assumption.expected if instead is None else (instead,)
