"""The function's configuration, read once from the environment that template.yaml sets."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from handler.cancellation.request import StackLimits
from handler.errors import InvalidConfiguration

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


@dataclass(frozen=True, slots=True)
class Config:
    """The function's configuration.

    An empty `sweep_job_id_glob` means that the stack has no sweep, and an empty `alarm_name_prefix` that no alarm
    cancels jobs. `endpoint_url` is set only on a local AWS.
    """

    stack_name: str
    limits: StackLimits
    cancels_per_second: float
    sweep_job_id_glob: str
    sweep_older_than_hours: int
    alarm_name_prefix: str
    backlog_queue_url: str
    teardown_queue_url: str
    event_bus_name: str
    url_suffix: str
    log_group: str
    endpoint_url: str | None

    @property
    def sweep_request(self) -> Mapping[str, object] | None:
        """The request of the stack's own scheduled sweep, or None if it has none."""
        if not self.sweep_job_id_glob:
            return None
        return {"select": {"jobIdGlob": self.sweep_job_id_glob, "olderThanHours": self.sweep_older_than_hours}}

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> Self:
        """Read the environment. Raises InvalidConfiguration, which names the variable and what it allows."""
        _check_telemetry(env)
        return cls(
            stack_name=_filled(env, "POWERTOOLS_SERVICE_NAME"),
            limits=StackLimits(
                force=_force(env) == "true",
                dry_run=_flag(env, "DRY_RUN"),
                max_jobs=_positive(env, "MAX_JOBS_PER_RUN"),
                job_id_prefix=env.get("JOB_ID_PREFIX", ""),
                protection_tag_key=_filled(env, "PROTECTION_TAG_KEY"),
                forces_teardowns=_force(env) == "TEARDOWN",
                # During an update, the new code can run with the environment of release 0.1.0.
                max_forced_executions=_positive({"MAX_FORCED_EXECUTIONS": "1000", **env}, "MAX_FORCED_EXECUTIONS"),
                required_tag=_tag(env, "REQUIRED_TAG"),
            ),
            cancels_per_second=_positive(env, "CANCELS_PER_SECOND"),
            sweep_job_id_glob=env.get("SWEEP_JOB_ID_GLOB", ""),
            sweep_older_than_hours=_positive(env, "SWEEP_OLDER_THAN_HOURS"),
            alarm_name_prefix=env.get("ALARM_NAME_PREFIX", ""),
            backlog_queue_url=_filled(env, "BACKLOG_QUEUE_URL"),
            teardown_queue_url=_filled(env, "TEARDOWN_QUEUE_URL"),
            event_bus_name=_filled(env, "EVENT_BUS_NAME"),
            url_suffix=_filled(env, "URL_SUFFIX"),
            log_group=_text(env, "LOG_GROUP"),
            endpoint_url=env.get("AWS_ENDPOINT_URL"),
        )


def _check_telemetry(env: Mapping[str, str]) -> None:
    """Check the variables that Powertools reads itself: it fails, or writes metrics that no alarm watches."""
    _filled(env, "POWERTOOLS_METRICS_NAMESPACE")
    if (env.get("POWERTOOLS_LOG_LEVEL") or "INFO").upper() not in _LOG_LEVELS:
        raise InvalidConfiguration("POWERTOOLS_LOG_LEVEL", f"must be one of {', '.join(_LOG_LEVELS)}")


def _filled(env: Mapping[str, str], variable: str) -> str:
    value = _text(env, variable)
    if not value:
        raise InvalidConfiguration(variable, "must not be empty")
    return value


def _text(env: Mapping[str, str], variable: str) -> str:
    if variable not in env:
        raise InvalidConfiguration(variable, "must be set")
    return env[variable]


def _force(env: Mapping[str, str]) -> str:
    value = _text(env, "FORCE")
    if value not in {"true", "false", "TEARDOWN"}:
        raise InvalidConfiguration("FORCE", "must be true, false or TEARDOWN")
    return value


def _tag(env: Mapping[str, str], variable: str) -> tuple[str, str] | None:
    text = env.get(variable, "")
    key, _, value = text.partition("=")
    if text and not (key and value):
        raise InvalidConfiguration(variable, "must be empty, or key=value")
    return (key, value) if text else None


def _flag(env: Mapping[str, str], variable: str) -> bool:
    value = _text(env, variable)
    if value not in {"true", "false"}:
        raise InvalidConfiguration(variable, "must be true or false")
    return value == "true"


def _positive(env: Mapping[str, str], variable: str) -> int:
    value = _text(env, variable)
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise InvalidConfiguration(variable, "must be a whole number from 1")
    return int(value)
