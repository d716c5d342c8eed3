"""The configuration is read strictly: a typing error in a template stops the function and does not change it."""

import pytest

from handler.config import Config
from handler.errors import InvalidConfiguration
from handler.request import Policy

ENVIRONMENT = {
    "FORCE": "false",
    "DRY_RUN": "false",
    "MAX_JOBS_PER_RUN": "100",
    "JOB_ID_PREFIX": "",
    "PROTECTION_TAG_KEY": "cancel-protection",
    "URL_SUFFIX": "amazonaws.com",
    "LOG_GROUP": "/aws/lambda/canceler",
}


def test_the_environment_of_the_template_is_read() -> None:
    assert Config.from_env(ENVIRONMENT) == Config(
        policy=Policy(
            force=False, dry_run=False, max_jobs=100, job_id_prefix="", protection_tag_key="cancel-protection"
        ),
        url_suffix="amazonaws.com",
        log_group="/aws/lambda/canceler",
        endpoint_url=None,
    )


def test_every_variable_counts() -> None:
    environment = {
        "FORCE": "true",
        "DRY_RUN": "true",
        "MAX_JOBS_PER_RUN": "7",
        "JOB_ID_PREFIX": "ota-",
        "PROTECTION_TAG_KEY": "keep",
        "URL_SUFFIX": "amazonaws.com.cn",
        "LOG_GROUP": "/own",
        "AWS_ENDPOINT_URL": "http://localhost:4566",
        "LANG": "C.UTF-8",
    }
    assert Config.from_env(environment) == Config(
        policy=Policy(force=True, dry_run=True, max_jobs=7, job_id_prefix="ota-", protection_tag_key="keep"),
        url_suffix="amazonaws.com.cn",
        log_group="/own",
        endpoint_url="http://localhost:4566",
    )


@pytest.mark.parametrize("variable", ENVIRONMENT)
def test_a_variable_that_is_missing_is_named(variable: str) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != variable}
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(environment)
    assert str(caught.value) == f"environment variable {variable}: must be set"


@pytest.mark.parametrize("variable", ["FORCE", "DRY_RUN"])
@pytest.mark.parametrize("value", ["", "True", "TRUE", "1", "0", "yes", "no", " true", "true ", "flase"])
def test_a_flag_is_true_or_false_and_nothing_else(variable: str, value: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(ENVIRONMENT | {variable: value})
    assert str(caught.value) == f"environment variable {variable}: must be true or false"


@pytest.mark.parametrize("value", ["1", "100000"])
def test_the_cap_is_a_whole_number_from_1(value: str) -> None:
    assert Config.from_env(ENVIRONMENT | {"MAX_JOBS_PER_RUN": value}).policy.max_jobs == int(value)


@pytest.mark.parametrize("value", ["", "0", "00", "-1", "+1", "1.0", "1e3", " 1", "1 ", "1_000", "ten", "١", "²"])
def test_a_cap_that_is_no_whole_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidConfiguration) as caught:
        Config.from_env(ENVIRONMENT | {"MAX_JOBS_PER_RUN": value})
    assert str(caught.value) == "environment variable MAX_JOBS_PER_RUN: must be a whole number from 1"
