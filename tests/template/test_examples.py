"""Each example is used by a test and listed in its README."""

import os
import sys
from pathlib import Path

import pytest

from tests.support.template import ROOT, load_template
from tools.processes import run

EXAMPLES = ROOT / "examples"
README = "README.md"
# File → the test that deploys or runs it.
USED_BY = {
    "alarm.yaml": "e2e/nightly/test_example_rules.py",
    "cdk/app.py": "e2e/nightly/test_examples.py",
    "firmware-rollout.yaml": "e2e/test_waits.py",
    "sam/template.yaml": "e2e/nightly/test_examples.py",
    "stacksets/artifacts.yaml": "e2e/nightly/test_stacksets.py",
    "stacksets/canceler.yaml": "e2e/nightly/test_stacksets.py",
    "stacksets/dashboard.py": "e2e/nightly/test_stacksets.py",
    "stacksets/publish.py": "e2e/nightly/test_stacksets.py",
    "stacksets/sharing.yaml": "template/test_examples.py",
    "teardown.yaml": "e2e/test_examples.py",
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
