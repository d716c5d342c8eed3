"""Each example is used by a test and listed in its README."""

import hashlib
import os
import re
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import hcl2
import pytest

from tests.support.template import ROOT, load_template, resolved
from tools.processes import run

EXAMPLES = ROOT / "examples"
README = "README.md"
# File → the test that deploys or runs it.
USED_BY = {
    "alarm-action.yaml": "e2e/test_roads.py",
    "alarm.yaml": "e2e/nightly/test_example_rules.py",
    "announced-sweep.yaml": "e2e/nightly/test_example_rules.py",
    "cdk/app.py": "e2e/nightly/test_examples.py",
    "cdk/iot_job_cancellation.py": "e2e/nightly/test_examples.py",
    "failed-executions.yaml": "e2e/test_roads.py",
    "firmware-rollout.yaml": "e2e/test_waits.py",
    "fleet-alarm.yaml": "e2e/test_roads.py",
    "many-accounts/center.yaml": "e2e/nightly/test_many_accounts.py",
    "many-accounts/member.yaml": "e2e/nightly/test_many_accounts.py",
    "many-accounts/request.py": "e2e/nightly/test_many_accounts.py",
    "sam/template.yaml": "e2e/nightly/test_examples.py",
    "stacksets/artifacts.yaml": "e2e/nightly/test_stacksets.py",
    "stacksets/canceler.yaml": "e2e/nightly/test_stacksets.py",
    "stacksets/dashboard.py": "e2e/nightly/test_stacksets.py",
    "stacksets/publish.py": "e2e/nightly/test_stacksets.py",
    "stacksets/sharing.yaml": "template/test_examples.py",
    "teardown.yaml": "e2e/test_examples.py",
    "terraform/invocation/main.tf": "e2e/test_terraform.py",
    "terraform/main.tf": "e2e/nightly/test_examples.py",
    "unapproved-jobs.yaml": "e2e/nightly/test_example_rules.py",
    "weekly-sweep.yaml": "e2e/nightly/test_example_rules.py",
}
NEVER_DEPLOYED = {"stacksets/canceler.yaml", "stacksets/sharing.yaml"}


def files() -> set[str]:
    found = (path for path in EXAMPLES.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(EXAMPLES).as_posix() for path in found}


def test_every_example_is_used_by_a_test() -> None:
    assert files() == {README, *USED_BY}
    for name, test in USED_BY.items():
        assert name.rsplit("/", 1)[-1] in (ROOT / "tests" / test).read_text(), name


@pytest.mark.parametrize("name", USED_BY)
def test_every_example_is_listed(name: str) -> None:
    assert f"]({name})" in (EXAMPLES / README).read_text()


@pytest.mark.parametrize("name", USED_BY)
def test_every_example_names_its_requirements(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    head = text.split("AWSTemplateFormatVersion")[0].split("import ")[0]
    assert "Needs " in head
    assert ("NEVER DEPLOYED" in head) is (name in NEVER_DEPLOYED)


def test_the_embedded_template_is_valid_and_gets_its_parameters(tmp_path: Path) -> None:
    """The template is text in another template, which cfn-lint does not check."""
    links = load_template(EXAMPLES / "stacksets" / "sharing.yaml")["Resources"]["Links"]["Properties"]
    path = tmp_path / "links.yaml"
    path.write_text(links["TemplateBody"])
    command = [str(Path(sys.executable).with_name("cfn-lint")), str(path)]
    assert run(command, environment=os.environ, cwd=tmp_path, seconds=60) == (0, "")
    passed = {each["ParameterKey"] for each in links["Parameters"]}
    assert passed == load_template(path)["Parameters"].keys() == {"SinkArn", "SinkAccount"}
    (link,) = load_template(path)["Resources"].values()
    assert link["Properties"]["LinkConfiguration"] == {
        "MetricConfiguration": {"Filter": "Namespace = 'IoTJobCanceler'"}
    }


def test_the_stack_set_passes_every_parameter_with_an_allowed_value() -> None:
    stack_set = load_template(EXAMPLES / "stacksets" / "canceler.yaml")
    given = {name: str(parameter.get("Default", "")) for name, parameter in stack_set["Parameters"].items()}
    properties = stack_set["Resources"]["Cancelers"]["Properties"]
    passed = {each["ParameterKey"]: resolved(each["ParameterValue"], **given) for each in properties["Parameters"]}
    parameters = load_template()["Parameters"]
    assert passed.keys() == parameters.keys()
    for name, value in passed.items():
        assert re.fullmatch(parameters[name].get("AllowedPattern", ".*"), value), name
        assert value in map(str, parameters[name].get("AllowedValues", [value])), name
    assert passed["Name"], "the names of the stacks of a stack set are not known before"
    assert [tag["Key"] for tag in properties["Tags"]] == ["application"]


def test_a_stack_set_of_6000_stacks_is_deployed_in_hours() -> None:
    """The arithmetic of docs/operations.md, "Many accounts and Regions": 500 accounts, 12 Regions, 3 minutes each."""
    properties = load_template(EXAMPLES / "stacksets" / "canceler.yaml")["Resources"]["Cancelers"]["Properties"]
    preferences = properties["OperationPreferences"]
    assert preferences == {
        "ConcurrencyMode": "SOFT_FAILURE_TOLERANCE",
        "MaxConcurrentPercentage": 10,
        "FailureTolerancePercentage": 5,
        "RegionConcurrencyType": "PARALLEL",
    }
    batches = 500 / (500 * preferences["MaxConcurrentPercentage"] / 100)
    assert (batches * 3, batches * 12 * 3 / 60) == (30, 6), "minutes, and hours if one Region follows another"
    text = " ".join((ROOT / "docs" / "operations.md").read_text().split())
    assert "10 batches of 3 minutes: 30 minutes" in text
    assert properties["AutoDeployment"] == {"Enabled": True, "RetainStacksOnAccountRemoval": True}


STACKS = ["updates", "updates-staging", "updates-2"]


@pytest.mark.parametrize("stack", STACKS)
def test_the_jobs_of_the_sam_application_match_only_the_selection_and_policy_of_their_own_stack(stack: str) -> None:
    resources = resolved(load_template(EXAMPLES / "sam" / "template.yaml")["Resources"], **{"AWS::StackName": stack})
    rollout = resources["RollOut"]["Properties"]
    assert """job_id = f"{os.environ['STACK']}_{event['name']}\"""" in rollout["InlineCode"]
    jobs = ["updates_2026-11", "updates-staging_2026-11", "updates-2_2026-11"]
    own = [f"{stack}_2026-11"]
    glob = resources["Teardown"]["Properties"]["Select"]["JobIdGlob"]
    assert [job for job in jobs if fnmatchcase(job, glob)] == own
    arn = rollout["Policies"][0]["Statement"][0]["Resource"][0]
    assert [job for job in jobs if fnmatchcase(f"arn:aws:iot:eu-west-1:123456789012:job/{job}", arn)] == own


def test_no_page_or_example_separates_the_name_of_a_stack_from_its_jobs_by_a_hyphen() -> None:
    """The pattern `updates-*` matches the jobs of the stack `updates-staging` too."""
    texts = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *(EXAMPLES / name for name in files())]
    assert [path.name for path in texts if re.search(r"StackName\}?-\*", path.read_text())] == []


def test_the_announced_sweep_cancels_only_jobs_that_were_old_enough_for_the_announcement() -> None:
    """A day is between both runs. The extra hour is for a run that starts late."""
    parameters = load_template(EXAMPLES / "announced-sweep.yaml")["Parameters"]
    assert (parameters["AnnouncementDay"]["Default"], parameters["SweepDay"]["Default"]) == ("MON", "TUE")
    assert (parameters["AnnounceAfterHours"]["Default"], parameters["CancelAfterHours"]["Default"]) == (143, 168)


def test_every_job_id_gives_a_stack_name_of_its_own_in_terraform() -> None:
    configuration = hcl2.loads((EXAMPLES / "terraform" / "main.tf").read_text())
    stacks = next(each for each in configuration["resource"] if '"aws_cloudformation_stack"' in each)
    name = stacks['"aws_cloudformation_stack"']['"teardown"']["name"].strip('"')

    def stack_name(job_id: str) -> str:
        digest = hashlib.sha1(job_id.encode(), usedforsecurity=False).hexdigest()
        return str(
            name.replace('${replace(var.job_id, "_", "-")}', job_id.replace("_", "-"))
            .replace("${substr(sha1(var.job_id), 0, 8)}", digest[:8])
            .replace("${var.job_id}", job_id)
        )

    job_ids = ["firmware_1", "firmware-1", "1", "_", "A" * 64, "_" * 64]
    names = [stack_name(job_id) for job_id in job_ids]
    assert names[:3] == ["teardown-of-firmware-1-6093e114", "teardown-of-firmware-1-bebb3849", "teardown-of-1-356a192b"]
    assert all(re.fullmatch("[a-zA-Z][a-zA-Z0-9-]{0,127}", each) for each in names)
    assert len(set(names)) == len(names)
