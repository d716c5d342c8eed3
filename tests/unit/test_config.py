"""Config reads the environment strictly: a typing error in a template stops the function and changes nothing."""

import pytest

from handler.cancellation.request import StackLimits
from handler.config import Config
from handler.errors import InvalidConfiguration

BACKLOG_QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Backlog-1ABC"
TEARDOWN_QUEUE = "https://sqs.eu-west-1.amazonaws.com/123456789012/canceler-Teardowns-1ABC.fifo"
ENVIRONMENT = {
    "FORCE": "false",
    "DRY_RUN": "false",
    "MAX_JOBS_PER_RUN": "100",
    "JOB_ID_PREFIX": "",
    "PROTECTION_TAG_KEY": "cancel-protection",
    "MAX_FORCED_EXECUTIONS": "1000",
    "REQUIRED_TAG": "",
    "CANCELS_PER_SECOND": "8",
    "SWEEP_JOB_ID_GLOB": "",
    "SWEEP_OLDER_THAN_HOURS": "168",
    "ALARM_NAME_PREFIX": "",
    "BACKLOG_QUEUE_URL": BACKLOG_QUEUE,
    "TEARDOWN_QUEUE_URL": TEARDOWN_QUEUE,
    "EVENT_BUS_NAME": "default",
    "URL_SUFFIX": "amazonaws.com",
    "LOG_GROUP": "/aws/lambda/canceler",
    "POWERTOOLS_LOG_LEVEL": "INFO",
    "POWERTOOLS_METRICS_NAMESPACE": "IoTJobCanceler",
    "POWERTOOLS_SERVICE_NAME": "canceler",
}
NEW_IN_0_2_0 = ("MAX_FORCED_EXECUTIONS", "REQUIRED_TAG")


def test_defaults_of_template_yaml_are_read() -> None:
    assert Config.from_env(ENVIRONMENT) == Config(
        stack_name="canceler",
        limits=StackLimits(
            force=False,
            dry_run=False,
            max_jobs=100,
            job_id_prefix="",
            protection_tag_key="cancel-protection",
            forces_teardowns=False,
            max_forced_executions=1000,
            required_tag=None,
        ),
        cancels_per_second=8,
        sweep_job_id_glob="",
        sweep_older_than_hours=168,
        alarm_name_prefix="",
        backlog_queue_url=BACKLOG_QUEUE,
        teardown_queue_url=TEARDOWN_QUEUE,
        event_bus_name="default",
        url_suffix="amazonaws.com",
        log_group="/aws/lambda/canceler",
        endpoint_url=None,
    )


def test_every_variable_is_read() -> None:
    environment = {
        "POWERTOOLS_SERVICE_NAME": "lab",
        "FORCE": "true",
        "DRY_RUN": "true",
        "MAX_JOBS_PER_RUN": "7",
        "JOB_ID_PREFIX": "ota-",
        "PROTECTION_TAG_KEY": "keep",
        "MAX_FORCED_EXECUTIONS": "50",
        "REQUIRED_TAG": "team=a=b",
        "CANCELS_PER_SECOND": "20",
        "SWEEP_JOB_ID_GLOB": "ota-*",
        "SWEEP_OLDER_THAN_HOURS": "72",
        "ALARM_NAME_PREFIX": "night-",
        "BACKLOG_QUEUE_URL": "http://localhost:4566/000000000000/backlog",
        "TEARDOWN_QUEUE_URL": "http://localhost:4566/000000000000/teardowns.fifo",
        "EVENT_BUS_NAME": "operations",
        "URL_SUFFIX": "amazonaws.com.cn",
        "LOG_GROUP": "/own",
        "AWS_ENDPOINT_URL": "http://localhost:4566",
        "POWERTOOLS_LOG_LEVEL": "DEBUG",
        "POWERTOOLS_METRICS_NAMESPACE": "Own",
        "LANG": "C.UTF-8",
    }
    assert Config.from_env(environment) == Config(
        stack_name="lab",
        limits=StackLimits(
            force=True,
            dry_run=True,
            max_jobs=7,
            job_id_prefix="ota-",
            protection_tag_key="keep",
            max_forced_executions=50,
            required_tag=("team", "a=b"),
        ),
        cancels_per_second=20,
        sweep_job_id_glob="ota-*",
        sweep_older_than_hours=72,
        alarm_name_prefix="night-",
        backlog_queue_url="http://localhost:4566/000000000000/backlog",
        teardown_queue_url="http://localhost:4566/000000000000/teardowns.fifo",
        event_bus_name="operations",
        url_suffix="amazonaws.com.cn",
        log_group="/own",
        endpoint_url="http://localhost:4566",
    )


@pytest.mark.parametrize(
    "variable", ["JOB_ID_PREFIX", "SWEEP_JOB_ID_GLOB", "ALARM_NAME_PREFIX", "POWERTOOLS_LOG_LEVEL"]
)
def test_variable_that_may_be_empty_may_be_omitted(variable: str) -> None:
    """Some local AWS emulators omit a variable without a value."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name != variable}
    assert Config.from_env(environment) == Config.from_env(ENVIRONMENT)


@pytest.mark.parametrize(
    "variable",
    [name for name in ENVIRONMENT if ENVIRONMENT[name] and name not in ("POWERTOOLS_LOG_LEVEL", *NEW_IN_0_2_0)],
)
def test_missing_variable_is_named(variable: str) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != variable}
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(environment)
    assert str(caught.value) == f"environment variable {variable}: must be set"


@pytest.mark.parametrize("variable", ["FORCE", "DRY_RUN"])
@pytest.mark.parametrize("value", ["", "True", "TRUE", "1", "0", "yes", "no", " true", "true ", "flase"])
def test_flag_must_be_true_or_false(variable: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(ENVIRONMENT | {variable: value})
    allowed = "true, false or TEARDOWN" if variable == "FORCE" else "true or false"
    assert str(caught.value) == f"environment variable {variable}: must be {allowed}"


def test_force_on_teardowns_only() -> None:
    limits = Config.from_env(ENVIRONMENT | {"FORCE": "TEARDOWN"}).limits
    assert (limits.force, limits.of_teardowns.force) == (False, True)


@pytest.mark.parametrize("value", ["team", "team=", "=fleet", "="])
def test_required_tag_has_a_key_and_a_value(value: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(ENVIRONMENT | {"REQUIRED_TAG": value})
    assert str(caught.value) == "environment variable REQUIRED_TAG: must be empty, or key=value"


def test_environment_of_release_0_1_0_is_read() -> None:
    """While a stack is updated, the function may have the new code with the old environment for a moment."""
    environment = {name: value for name, value in ENVIRONMENT.items() if name not in NEW_IN_0_2_0}
    assert Config.from_env(environment) == Config.from_env(ENVIRONMENT)


NUMBERS = ["MAX_JOBS_PER_RUN", "MAX_FORCED_EXECUTIONS", "CANCELS_PER_SECOND", "SWEEP_OLDER_THAN_HOURS"]


@pytest.mark.parametrize("value", ["1", "100000"])
def test_whole_number_from_1_is_accepted(value: str) -> None:
    config = Config.from_env(ENVIRONMENT | dict.fromkeys(NUMBERS, value))
    limits = (config.limits.max_jobs, config.limits.max_forced_executions)
    assert (*limits, config.cancels_per_second, config.sweep_older_than_hours) == (int(value),) * 4


@pytest.mark.parametrize("variable", NUMBERS)
@pytest.mark.parametrize("value", ["", "0", "00", "-1", "+1", "1.0", "1e3", " 1", "1 ", "1_000", "ten", "١", "²"])
def test_any_other_number_is_rejected(variable: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(ENVIRONMENT | {variable: value})
    assert str(caught.value) == f"environment variable {variable}: must be a whole number from 1"


@pytest.mark.parametrize(
    "variable",
    [
        *("PROTECTION_TAG_KEY", "BACKLOG_QUEUE_URL", "TEARDOWN_QUEUE_URL", "EVENT_BUS_NAME", "URL_SUFFIX"),
        *("POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_SERVICE_NAME"),
    ],
)
def test_required_variable_must_not_be_empty(variable: str) -> None:
    """An empty URL suffix would allow a response to any host; an empty tag key would protect no job.

    Alarms watch the metrics of one namespace and service.
    """
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(ENVIRONMENT | {variable: ""})
    assert str(caught.value) == f"environment variable {variable}: must not be empty"


@pytest.mark.parametrize("level", ["", "DEBUG", "info", "Warning", "ERROR", "CRITICAL"])
def test_log_level_of_powertools_is_accepted(level: str) -> None:
    assert Config.from_env(ENVIRONMENT | {"POWERTOOLS_LOG_LEVEL": level}) == Config.from_env(ENVIRONMENT)


@pytest.mark.parametrize("level", [" ", "VERBOSE", "INFO,DEBUG"])
def test_any_other_log_level_is_rejected(level: str) -> None:
    """The logger of Powertools raises ValueError for it, in the init phase."""
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(ENVIRONMENT | {"POWERTOOLS_LOG_LEVEL": level})
    expected = "environment variable POWERTOOLS_LOG_LEVEL: must be one of DEBUG, INFO, WARNING, ERROR, CRITICAL"
    assert str(caught.value) == expected


def test_stack_without_a_glob_has_no_sweep() -> None:
    assert Config.from_env(ENVIRONMENT).sweep_request is None


def test_sweep_request_has_the_glob_and_age_of_the_stack() -> None:
    environment = ENVIRONMENT | {"SWEEP_JOB_ID_GLOB": "ota-*", "SWEEP_OLDER_THAN_HOURS": "72"}
    request = {"select": {"jobIdGlob": "ota-*", "olderThanHours": 72}}
    assert Config.from_env(environment).sweep_request == request
