"""The IoT simulator behind moto: in this process under the real SDK, and over HTTP.

moto 5 routes the calls of IoT jobs but applies no rules: it cancels completed jobs, ignores every filter and repeats
its second page without end. Here the job calls go to an `IotSimulator`; things, thing groups and all else stay moto's.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from threading import Thread
from types import SimpleNamespace, TracebackType
from typing import Any, Self

from moto import mock_aws
from moto.core.exceptions import JsonRESTError
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.core.responses import ActionResult
from moto.iot.models import IoTBackend, iot_backends
from moto.iot.responses import IoTResponse
from moto.iot.urls import url_bases
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server

from tools.simulators.faults import ServiceError
from tools.simulators.iot import IotSimulator


class _Backend(IoTBackend):
    """moto's IoT backend, with a simulator for its jobs."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.simulator = IotSimulator(region_name=region_name, account_id=account_id)
        self.simulator.find_group = self._find_group

    @property
    def _url_module(self) -> Any:
        """The URLs of moto's IoT, led to `_JobsResponse`. moto would look for a module beside this one."""
        return SimpleNamespace(url_bases=url_bases, url_paths={"{0}/.*$": _JobsResponse.dispatch})

    def _find_group(self, name: str) -> Iterable[str]:
        return [thing.thing_name for thing in self.describe_thing_group(name).things.values()]


class _JobsResponse(IoTResponse):
    """moto's IoT responses, with the job and tag calls handled by the simulator."""

    def create_job(self) -> ActionResult:
        """Call the job or tag operation of the request, whichever it is."""
        self.parse_parameters(self.normalized_request)
        simulator = simulator_of(self.region, self.current_account)
        try:
            return ActionResult(simulator.call(self._get_action(), self.params))
        except ServiceError as error:
            raise _RestError(error) from error

    describe_job = cancel_job = delete_job = list_jobs = create_job
    cancel_job_execution = list_job_executions_for_job = list_tags_for_resource = create_job
    # Calls that the simulator does not have: they fail loudly, and do not fall back on moto's.
    describe_job_execution = delete_job_execution = list_job_executions_for_thing = create_job
    get_job_document = tag_resource = untag_resource = create_job


class _RestError(JsonRESTError):
    def __init__(self, error: ServiceError) -> None:
        super().__init__(error.code, error.message)
        self.code = error.status


def simulator_of(region_name: str, account_id: str = DEFAULT_ACCOUNT_ID) -> IotSimulator:
    """Return the installed simulator of one Region and account. Raises TypeError when moto's own jobs are in place."""
    backend = iot_backends[account_id][region_name]
    if not isinstance(backend, _Backend):
        raise TypeError("The IoT simulator is not installed")
    return backend.simulator


@contextmanager
def installed(region_name: str, account_id: str = DEFAULT_ACCOUNT_ID) -> Iterator[IotSimulator]:
    """Install a simulator without jobs in place of moto's IoT backend; at exit moto's is back as it was.

    `mock_aws` empties all of moto's state when it starts and stops: enter it before this, and leave it after.
    """
    backend_class, state = iot_backends.backend, dict(iot_backends)
    iot_backends.clear()
    iot_backends.backend = _Backend
    try:
        yield simulator_of(region_name, account_id)
    finally:
        iot_backends.clear()
        iot_backends.backend = backend_class
        iot_backends.update(state)


@contextmanager
def in_process(region_name: str, account_id: str = DEFAULT_ACCOUNT_ID) -> Iterator[IotSimulator]:
    """Mock AWS in this process, with a simulator installed."""
    with mock_aws(), installed(region_name, account_id) as simulator:
        yield simulator


class _RequestHandler(MotoRequestHandler):
    """One silent request a connection: a stopped server responds to no client, and a broken connection is closed."""

    protocol_version = "HTTP/1.0"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's signature
        """Log nothing."""


class IotServer:
    """moto's server on a free port of 127.0.0.1, with the IoT simulator. All other services are moto's.

    While it runs, the simulator is installed in this process too: one server at a time.
    """

    def __init__(self, region_name: str, account_id: str = DEFAULT_ACCOUNT_ID) -> None:
        """Nothing starts yet."""
        self.region_name, self.account_id = region_name, account_id
        self._running = ExitStack()
        self._backend: IotSimulator | None = None
        self._url: str | None = None

    @property
    def url(self) -> str:
        """The endpoint URL; RuntimeError while the server is not running."""
        return self._started(self._url)

    @property
    def backend(self) -> IotSimulator:
        """The simulator of the server's Region; RuntimeError while the server is not running."""
        return self._started(self._backend)

    def start(self) -> Self:
        """Install the simulator and serve requests from now on."""
        if self._url is not None:
            raise RuntimeError("The server is running already")
        with ExitStack() as starting:
            self._backend = starting.enter_context(installed(self.region_name, self.account_id))
            app = DomainDispatcherApplication(create_backend_app)
            server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_RequestHandler)
            starting.callback(server.server_close)
            thread = Thread(target=server.serve_forever, args=(0.01,), name="iot-server", daemon=True)
            thread.start()
            starting.callback(thread.join)
            starting.callback(server.shutdown)
            self._url = f"http://127.0.0.1:{server.port}"
            self._running = starting.pop_all()
        return self

    def stop(self) -> None:
        """Close the port and remove the simulator with its jobs. Stopping twice does no harm."""
        self._running.close()
        self._backend = self._url = None

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def _started[Value](self, value: Value | None) -> Value:
        if value is None:
            raise RuntimeError("The server is not running")
        return value
