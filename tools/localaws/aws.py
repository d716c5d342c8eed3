"""MiniStack as a child process: an AWS for this program alone."""

import copy
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Literal, Self, overload

import boto3
from botocore.config import Config
from botocore.session import Session as BotocoreSession
from mypy_boto3_cloudformation import CloudFormationClient
from mypy_boto3_cloudwatch import CloudWatchClient
from mypy_boto3_events import EventBridgeClient
from mypy_boto3_iam import IAMClient
from mypy_boto3_iot import IoTClient
from mypy_boto3_iot_jobs_data import IoTJobsDataPlaneClient
from mypy_boto3_lambda import LambdaClient
from mypy_boto3_logs import CloudWatchLogsClient
from mypy_boto3_s3 import S3Client
from mypy_boto3_scheduler import EventBridgeSchedulerClient
from mypy_boto3_sqs import SQSClient
from mypy_boto3_ssm import SSMClient
from mypy_boto3_sts import STSClient

from tools.errors import MiniStackFailed
from tools.polling import wait_for
from tools.processes import deferred_signals, start, terminate, unwind_on_termination

from .runtime import link_packages

REGION = "eu-central-1"
_READY_SECONDS = 60

# AUTH enforces IAM, for the function's role too. By default, MiniStack listens on every interface, and on MQTT's port.
# AWS retries asynchronous invocations after 1 and 2 minutes.
_MINISTACK = {
    "AUTH": "true",
    "BIND_HOST": "127.0.0.1",
    "IOT_MTLS_ENABLED": "0",
    "LAMBDA_EXECUTOR": "local",
    "LAMBDA_ASYNC_RETRY_BASE_SECONDS": "0.2",
    "LAMBDA_ASYNC_RETRY_MAX_SECONDS": "0.4",
    "MINISTACK_REGION": REGION,
}
# Environment variables with these prefixes configure another AWS or emulator of the user.
_FOREIGN_PREFIXES = (
    "AWS_",
    "GATEWAY_",
    "EDGE_",
    "IOT_",
    "LAMBDA_",
    "LOCALSTACK_",
    "MINISTACK_",
    "PERSIST_",
    "S3_",
    "SAM_",
    "USE_SSL",
)


class LocalAws:
    """A context manager: MiniStack runs inside the `with` block.

    `ministack` is added to its environment. `directory` is for its state and log, and is temporary by default. It
    listens on `port` if that port is free, and otherwise on another port. MiniStack inherits the file descriptors in
    `pass_fds`; the processes that it starts do not.
    """

    def __init__(
        self,
        ministack: Mapping[str, str] | None = None,
        *,
        directory: Path | None = None,
        port: int = 0,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._ministack = dict(ministack or {})
        self._directory = directory
        self._pass_fds = pass_fds
        self._process: subprocess.Popen[bytes] | None = None
        self._undo = ExitStack()
        self._is_left_running = False
        self.port = port
        self.log_path = Path()
        self.region = REGION

    @classmethod
    def running_at(cls, port: int) -> Self:
        """Return the local AWS that another process has started. It keeps running."""
        return cls(port=port)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(unwind_on_termination())
            with deferred_signals():
                self._start(undo)
            wait_for("a ready MiniStack", self._is_ready, seconds=_READY_SECONDS)
            self._undo = undo.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._undo.close()

    @property
    def pid(self) -> int:
        """The process of MiniStack, which leads the process group of its child processes."""
        return self._running().pid

    @property
    def endpoint_url(self) -> str:
        """The endpoint of every service."""
        return f"http://localhost:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables that point the AWS CLI, `sam` and boto3 to this AWS."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": self.region,
        }

    def in_region(self, region: str) -> "LocalAws":
        """Return this AWS with clients for another Region."""
        other = copy.copy(self)
        other.region = region
        return other

    def leave_running(self) -> None:
        """Keep MiniStack running after the `with` block."""
        self._is_left_running = True

    def log_tail(self, lines: int = 40) -> str:
        """Return the last lines of MiniStack's log."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    # The services that this repository calls, each with the type of its client.
    @overload
    def client(self, service: Literal["cloudformation"]) -> CloudFormationClient: ...
    @overload
    def client(self, service: Literal["cloudwatch"]) -> CloudWatchClient: ...
    @overload
    def client(self, service: Literal["events"]) -> EventBridgeClient: ...
    @overload
    def client(self, service: Literal["iam"]) -> IAMClient: ...
    @overload
    def client(self, service: Literal["iot"]) -> IoTClient: ...
    @overload
    def client(self, service: Literal["iot-jobs-data"]) -> IoTJobsDataPlaneClient: ...
    @overload
    def client(self, service: Literal["lambda"]) -> LambdaClient: ...
    @overload
    def client(self, service: Literal["logs"]) -> CloudWatchLogsClient: ...
    @overload
    def client(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def client(self, service: Literal["scheduler"]) -> EventBridgeSchedulerClient: ...
    @overload
    def client(self, service: Literal["sns"]) -> Any: ...  # only tests use it: no stubs
    @overload
    def client(self, service: Literal["sqs"]) -> SQSClient: ...
    @overload
    def client(self, service: Literal["ssm"]) -> SSMClient: ...
    @overload
    def client(self, service: Literal["sts"]) -> STSClient: ...
    def client(self, service: str) -> object:
        """Return a boto3 client of this AWS. The user's profile, configuration file and proxy are ignored."""
        session = BotocoreSession({"profile": (None, None, None, None), "config_file": (None, None, os.devnull, None)})
        return boto3.Session(botocore_session=session).client(  # type: ignore[call-overload]
            service,
            endpoint_url=self.endpoint_url,
            region_name=self.region,
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            config=Config(connect_timeout=5, read_timeout=60, proxies={}, retries={"mode": "standard"}),
        )

    def _start(self, undo: ExitStack) -> None:
        directory = self._directory or Path(
            undo.enter_context(TemporaryDirectory(prefix="iot-job-canceler-", ignore_cleanup_errors=True))
        )
        directory.mkdir(parents=True, exist_ok=True)
        self.port = _free_port(self.port)
        self.log_path = directory / "ministack.log"
        with self.log_path.open("wb") as log:
            self._process = start(
                [sys.executable, "-P", str(Path(__file__).with_name("emulator.py"))],
                environment=self._environment_of_ministack(directory),
                cwd=directory,
                output=log,
                pass_fds=self._pass_fds,
            )
        undo.callback(self._stop)

    def _environment_of_ministack(self, directory: Path) -> dict[str, str]:
        paths = {"TMPDIR": str(directory), "STATE_DIR": str(directory), "S3_DATA_DIR": str(directory / "s3")}
        paths["FUNCTION_PACKAGES"] = str(link_packages(directory / "packages"))
        return isolated_environment() | _MINISTACK | paths | {"GATEWAY_PORT": str(self.port)} | self._ministack

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise MiniStackFailed("the local AWS has not been started")
        return self._process

    def _is_ready(self) -> bool:
        exit_code = self._running().poll()
        if exit_code is not None:
            raise MiniStackFailed(f"MiniStack ended with exit code {exit_code}:\n{self.log_tail()}")
        return _is_healthy(self.port)

    def _stop(self) -> None:
        if not self._is_left_running:
            terminate(self._running())


def isolated_environment() -> dict[str, str]:
    """Return this process's environment without the variables that point to another AWS, for a child process."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)}
    return inherited | {
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
    }


def _is_healthy(port: int) -> bool:
    """Return True if a MiniStack responds on `port` of this machine."""
    connection = HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/_ministack/health")
        return connection.getresponse().status == 200  # noqa: PLR2004 - HTTP's OK
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _free_port(wanted: int) -> int:
    """Return `wanted` if no process listens on it, and otherwise any free port. 0 is any free port."""
    with socket.socket() as probe:
        # Closed connections of the process that listened before do not count. MiniStack sets the option too.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
