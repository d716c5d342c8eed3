"""Child processes that end together with all that they start in turn, whatever happens here."""

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
    """Start `command` as the leader of a process group of its own, out of reach of the terminal's Ctrl-C."""
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
    """Exit code and output of `command`. Raises subprocess.TimeoutExpired; no exception leaves a process behind."""
    with ExitStack() as undo:
        with signals_held_back():
            process = start(command, environment=environment, cwd=cwd, output=subprocess.PIPE)
            undo.callback(end, process)
        output, _ = process.communicate(timeout=seconds)
    return process.returncode, output.decode(errors="replace")


def end(process: subprocess.Popen[bytes]) -> None:
    """End `process` and its group: ask first, then kill what is left, be it of a process that ended by itself."""
    with signals_held_back():
        signal_group(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
        signal_group(process.pid, signal.SIGKILL)
        process.wait()


def signal_group(leader: int, number: signal.Signals) -> None:
    """Signal the process group that `leader` leads, if it is still there (macOS says EPERM if all in it are dead)."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, number)


@contextmanager
def signals_held_back() -> Iterator[Sequence[int]]:
    """Keep Ctrl-C and termination until the block is over, so that it is done as a whole. They are delivered then.

    The block is given the signals that have arrived, so that it can end early where that is safe. One that is ignored
    stays so.
    """
    arrived: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield arrived
        return

    def keep(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    heeded = [each for each in (signal.SIGINT, *_TERMINATION) if signal.getsignal(each) is not signal.SIG_IGN]
    previous = {number: signal.signal(number, keep) for number in heeded}
    try:
        yield arrived
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        for first in arrived[:1]:
            signal.raise_signal(first)


@contextmanager
def termination_unwinds() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the program as SystemExit does, through every `with` and `finally`.

    A signal that somebody else handles, or ignores (nohup), is left as it is.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in _TERMINATION if signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _exit)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _exit(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
