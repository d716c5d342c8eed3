"""How an event came to the function, and what follows from that for the next time. Pure."""

from dataclasses import dataclass
from typing import Self

from .backlog import Message
from .timing import LambdaContext

RETRY_SECONDS = 5  # until an unfinished event is taken up again; that much longer each time, up to
LONGEST_RETRY_SECONDS = 60
ADMISSION_SECONDS = 12 * 3600  # longer than an event can be on the backlog, unless it is redriven


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of an event.

    `first_seen_at`: seconds since the epoch. `admitted`: held against the cap. `number`: how often it came before.
    """

    context: LambdaContext
    first_seen_at: float
    admitted: bool = False
    number: int = 0

    @classmethod
    def of_message(cls, message: Message, context: LambdaContext, now: float) -> Self:
        """A delivery from the backlog. What was admitted long ago is held against the cap again: it was redriven."""
        first_seen_at = message.first_seen_at or now
        admitted = message.admitted and now - first_seen_at < ADMISSION_SECONDS
        return cls(context, first_seen_at, admitted, message.receives)

    @property
    def retry_seconds(self) -> int:
        """Until the next delivery. A hundred of them last longer than any ServiceTimeout."""
        return min(RETRY_SECONDS * max(1, self.number), LONGEST_RETRY_SECONDS)
