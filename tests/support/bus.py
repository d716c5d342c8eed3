"""An event bus in memory."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from handler.aws.eventbridge import Publisher

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient


class FakeBus:
    """The one call of boto3's client that the handler makes.

    Attributes:
        entries: what is on the bus.
        fault: called before each call; it may raise.
        refusal: the error code and message that entries are refused with, if any.
    """

    name = "operations"

    def __init__(self) -> None:
        self.entries: list[dict[str, str]] = []
        self.fault: Callable[[], None] | None = None
        self.refusal: tuple[str, str] | None = None

    @property
    def client(self) -> "EventBridgeClient":
        return cast("EventBridgeClient", self)

    @property
    def port(self) -> Publisher:
        """The handler's own, over this bus."""
        return Publisher(self.client, self.name)

    @property
    def details(self) -> list[dict[str, Any]]:
        """The details of the events."""
        return [json.loads(entry["Detail"]) for entry in self.entries]

    def put_events(self, *, Entries: Sequence[dict[str, str]]) -> dict[str, Any]:  # noqa: N803 - boto3's name
        """Publish the entries, or refuse them."""
        if self.fault:
            self.fault()
        assert 1 <= len(Entries) <= 10
        for entry in Entries:
            assert set(entry) == {"Source", "DetailType", "Detail", "EventBusName"}
            assert entry["EventBusName"] == self.name
        assert sum(len(text.encode()) for entry in Entries for text in entry.values()) <= 262_144
        if self.refusal:
            code, message = self.refusal
            failed = {"ErrorCode": code, "ErrorMessage": message}
            return {"FailedEntryCount": len(Entries), "Entries": [failed for _ in Entries]}
        self.entries += Entries
        return {"FailedEntryCount": 0, "Entries": [{"EventId": str(number)} for number in range(len(Entries))]}
