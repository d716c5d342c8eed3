"""`make fuzz`: search for an event that breaks the invariants of `check_one`.

atheris uses the branches of the handler to choose the next event. It exists only for Linux on x86-64. Elsewhere,
Hypothesis draws events at random, without feedback.
"""

import argparse
import os
import random
import sys
import time
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from itertools import count
from pathlib import Path
from typing import Any

_LONGEST_INPUT = 4096  # bytes that Hypothesis makes an event of
_LONGEST_RUN = 30  # seconds for one event
_DRAWN_AT_ONCE = 200
_BEGUN_WITH = 100  # inputs, at random
_TOLD_EVERY = 5_000  # events
_CORPUS = Path(__file__).parents[2] / ".hypothesis" / "fuzz" / "corpus"  # where a later run begins


def main() -> int:
    """Exit code: 0 if no such event was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("seconds", type=int)
    seconds = parser.parse_args().seconds
    os.environ |= {
        "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
        "POWERTOOLS_SERVICE_NAME": "canceler",
        "POWERTOOLS_LOG_LEVEL": "INFO",
    }
    if find_spec("atheris"):
        _guided(import_module("atheris"), seconds)
    else:
        _say("atheris is not installed here: only Hypothesis draws the events, without feedback from the branches")
        _drawn(seconds)
    return 0


def _guided(atheris: Any, seconds: int) -> None:
    """Ends the process: with 0, or with atheris's own code and the event, if one was found."""
    with atheris.instrument_imports(include=["handler"]):
        import_module("handler.app")
    test = _test(max_examples=1).hypothesis.fuzz_one_input
    limits = [f"-max_total_time={seconds}", f"-max_len={_LONGEST_INPUT}", f"-timeout={_LONGEST_RUN}"]
    _CORPUS.mkdir(parents=True, exist_ok=True)
    for number in range(_BEGUN_WITH):
        (_CORPUS / f"initial-{number}").write_bytes(os.urandom(_LONGEST_INPUT))
    # No short inputs first: of a few bytes Hypothesis makes no event at all.
    places = [f"-artifact_prefix={_CORPUS.parent}/", str(_CORPUS)]
    atheris.Setup([sys.argv[0], *limits, "-len_control=0", *places], test)
    atheris.Fuzz()


def _drawn(seconds: int) -> None:
    began, draw = time.monotonic(), import_module("hypothesis").seed
    for number in count(1):
        draw(random.getrandbits(64))(_test(max_examples=_DRAWN_AT_ONCE))()
        if time.monotonic() - began > seconds:
            _say(f"{number * _DRAWN_AT_ONCE} events, and the invariants held for each")
            return


def _test(max_examples: int) -> Any:
    """A new one each time, since Hypothesis binds a seed to it."""
    hypothesis = import_module("hypothesis")
    hostile, log = import_module("tests.properties.test_hostile_events"), _log()

    numbers = count(1)

    def test(limits: object, event: object) -> None:
        if (number := next(numbers)) % _TOLD_EVERY == 0:
            _say(f"{number} events")
        try:
            hostile.check_one(log, limits, event)
        except BaseException:
            _say(f"it does not hold for {event!a} with {limits!a}")
            raise

    chosen = hypothesis.settings(max_examples=max_examples, derandomize=False, database=None, deadline=None)
    return chosen(hypothesis.given(limits=hostile.all_limits, event=hostile.hostile_or_real)(test))


@cache
def _log() -> Any:
    """Create one log for all, since Powertools uses the first stream of a name."""
    conftest, telemetry = import_module("tests.conftest"), import_module("handler.telemetry")
    stream = StringIO()
    return conftest.Log(telemetry.Telemetry("fuzz", stream), stream)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
