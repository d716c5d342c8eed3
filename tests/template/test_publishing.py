"""The version is the same wherever it appears, and the metadata meets the rules of AWS's serverless repository."""

import re
from typing import Any

import pytest

from handler.version import VERSION
from tests.support.template import ROOT, load_template

TEMPLATE = load_template()
APPLICATION: dict[str, Any] = TEMPLATE["Metadata"]["AWS::ServerlessRepo::Application"]

# From "AWS SAM template Metadata section properties" in SAM's developer guide: pattern and maximum length.
LIMITS = {
    "Name": (r"[a-zA-Z0-9\-]+", 140),
    "Description": (r".+", 256),
    "Author": (r"[a-z0-9](([a-z0-9]|-(?!-))*[a-z0-9])?", 127),
}
LABEL = r"[a-zA-Z0-9+\-_:/@]{1,127}"
SEMANTIC = r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?"


def test_version_is_semantic() -> None:
    assert re.fullmatch(SEMANTIC, VERSION)


def test_template_and_changelog_have_the_same_version() -> None:
    description = TEMPLATE["Resources"]["Function"]["Properties"]["Description"]
    assert APPLICATION["SemanticVersion"] == VERSION
    assert TEMPLATE["Outputs"]["Version"]["Value"] == VERSION
    assert TEMPLATE["Resources"]["Function"]["Properties"]["Tags"] == {"iot-job-canceler:version": VERSION}
    assert description.startswith(f"iot-job-canceler {VERSION}, ")
    assert len(description) <= 256  # Lambda's limit
    assert re.search(
        rf"^## {re.escape(VERSION)} - \d{{4}}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE
    )


@pytest.mark.parametrize("name", LIMITS)
def test_metadata_is_within_the_repositorys_limits(name: str) -> None:
    pattern, max_length = LIMITS[name]
    assert re.fullmatch(pattern, APPLICATION[name])
    assert len(APPLICATION[name]) <= max_length


def test_application_has_license_readme_and_at_most_ten_labels() -> None:
    assert APPLICATION["SpdxLicenseId"] == "Apache-2.0"
    assert "Apache License" in (ROOT / APPLICATION["LicenseUrl"]).read_text()
    assert (ROOT / APPLICATION["ReadmeUrl"]).read_text().startswith("# iot-job-canceler\n")
    assert 1 <= len(APPLICATION["Labels"]) <= 10
    assert all(re.fullmatch(LABEL, label) for label in APPLICATION["Labels"])
