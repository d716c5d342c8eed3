"""Child processes whose whole process group ends with them, and the signals that this process receives."""

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO

_TERMINATION = (signal.SIGTERM, signal.SIGHUP)
_GRACE_SECONDS = 5.0


def start(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    cwd: Path,
    output: int | IO[bytes],
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start `command` as the leader of a new process group, which does not receive the terminal's Ctrl-C."""
    return subprocess.Popen(
        command,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=pass_fds,
        start_new_session=True,
    )


def run(command: Sequence[str], *, environment: Mapping[str, str], cwd: Path, seconds: float) -> tuple[int, str]:
    """Run `command`, and return its exit code and output. Raises subprocess.TimeoutExpired. An exception ends it."""
    with ExitStack() as undo:
        with deferred_signals():
            process = start(command, environment=environment, cwd=cwd, output=subprocess.PIPE)
            undo.callback(terminate, process)
        output, _ = process.communicate(timeout=seconds)
    return process.returncode, output.decode(errors="replace")


def terminate(process: subprocess.Popen[bytes]) -> None:
    """Terminate `process` and its group, and kill the remaining processes after a grace period."""
    with deferred_signals():
        signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal the process group of `leader` if it still exists (macOS reports EPERM if all its processes are dead)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


@contextmanager
def deferred_signals() -> Iterator[Sequence[int]]:
    """Defer Ctrl-C and termination signals until the end of the block, so that the block runs to its end.

    Yields the list of the signals that have arrived, so that the block can end early. Ignored signals stay ignored.
    """
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield arrived
        return

    def record(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    deferred = [each for each in (signal.SIGINT, *_TERMINATION) if signal.getsignal(each) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, record) for number in deferred}
    try:
        yield arrived
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for first in arrived[:1]:
            signal.raise_signal(first)


@contextmanager
def unwind_on_termination() -> Iterator[None]:
    """Raise SystemExit on SIGTERM and SIGHUP, so that every `with` and `finally` block runs.

    A signal that already has a handler, or is ignored (nohup), keeps its behavior.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    unhandled = [number for number in _TERMINATION if signal.getsignal(number) is signal.SIG_DFL]
    for number in unhandled:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in unhandled:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
