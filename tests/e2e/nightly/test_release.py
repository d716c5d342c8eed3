"""`make release`: builds of one commit are identical, and the bundle runs."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from handler.version import VERSION
from tests.e2e.conftest import deployed
from tools.errors import NotReleasable
from tools.localaws import sam
from tools.localaws.aws import LocalAws
from tools.release import release

ARCHIVE = f"iot-job-canceler-{VERSION}.zip"
SBOM = f"iot-job-canceler-{VERSION}.cdx.json"
COMMITTED = datetime(2026, 11, 24, 3, 2, 1, tzinfo=UTC)


def git(repository: Path, *arguments: str) -> str:
    who = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    when = {"GIT_AUTHOR_DATE": COMMITTED.isoformat(), "GIT_COMMITTER_DATE": COMMITTED.isoformat()}
    command = ["git", *who, "-C", str(repository), *arguments]
    return subprocess.run(command, env=os.environ | when, check=True, capture_output=True, text=True).stdout  # noqa: S603


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a repository with one commit of this project."""
    repository = tmp_path_factory.mktemp("origin")
    shutil.copytree(sam.ROOT / "src", repository / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("template.yaml", "LICENSE", "README.md", "CHANGELOG.md", ".gitignore"):
        shutil.copy(sam.ROOT / name, repository / name)
    git(repository, "init", "--quiet")
    git(repository, "add", "--all")
    git(repository, "commit", "--quiet", "--message", "A release")
    return repository


@pytest.fixture(scope="module")
def first(origin: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a release from a clone."""
    return released(origin, tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second(origin: Path, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - after it
    """Build a release from another clone, later, in another directory and with another umask."""
    folder = tmp_path_factory.mktemp("a second place with a long name") / "deeper"
    folder.mkdir()
    before = os.umask(0o077)
    try:
        return released(origin, folder)
    finally:
        os.umask(before)


def released(origin: Path, folder: Path) -> Path:
    git(folder, "clone", "--quiet", str(origin), "clone")
    for path in (folder / "clone" / "src").rglob("*.py"):
        path.touch()
    release.release(folder / "clone", folder / "dist")
    return folder / "dist"


def test_two_builds_of_one_commit_are_identical(first: Path, second: Path) -> None:
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(["LICENSE", "README.md", "SHA256SUMS", "template.yaml", ARCHIVE, SBOM])
    assert {name: (first / name).read_bytes() for name in names} == {
        name: (second / name).read_bytes() for name in names
    }


def test_the_checksums_match_the_files(first: Path) -> None:
    files = sorted(path for path in first.iterdir() if path.name != "SHA256SUMS")
    expected = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in files]
    assert (first / "SHA256SUMS").read_text().splitlines() == expected


def test_the_bundle_contains_no_build_metadata(first: Path) -> None:
    with zipfile.ZipFile(first / ARCHIVE) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(2026, 11, 24, 3, 2, 0)}  # a zip counts in steps of two seconds
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    noise = re.compile(r"/(RECORD|INSTALLER|REQUEST_DETAIL_TYPE|direct_url\.json)$")
    assert [entry.filename for entry in entries if noise.search(entry.filename)] == []


def test_the_sbom_is_valid_and_lists_every_package(first: Path) -> None:
    text = (first / SBOM).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    sbom = json.loads(text)
    licenses = {each["purl"]: each["licenses"][0]["license"]["id"] for each in sbom["components"]}
    pins = re.findall(r"^([\w-]+)==(\S+)", (sam.ROOT / "src" / "requirements.txt").read_text(), re.MULTILINE)
    assert set(licenses) == {f"pkg:pypi/{name}@{version}" for name, version in pins}
    assert set(licenses.values()) == {"MIT", "Apache-2.0", "PSF-2.0"}
    whole = sbom["metadata"]["component"]
    assert (whole["name"], whole["version"]) == ("iot-job-canceler", VERSION)
    assert whole["hashes"] == [
        {"alg": "SHA-256", "content": hashlib.sha256((first / ARCHIVE).read_bytes()).hexdigest()}
    ]
    assert sbom["metadata"]["timestamp"] == COMMITTED.isoformat()
    needs = {each["ref"].split("/")[-1].split("@")[0]: len(each.get("dependsOn", [])) for each in sbom["dependencies"]}
    assert needs == {
        "iot-job-canceler": 2,
        "aws-lambda-powertools": 2,
        "crhelper": 0,
        "jmespath": 0,
        "typing-extensions": 0,
    }


def test_the_release_runs_and_logs_its_version(aws: LocalAws, first: Path) -> None:
    """Without a prefix the stack accepts every request on the default bus, so the test deletes it."""
    with deployed(aws, first, "published") as published:
        function = aws.client("lambda").get_function_configuration(FunctionName=published.function_name)
        job_id = published.job("released")
        assert published.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}
        lines = [json.loads(line) for line in published.log.lines() if '"report"' in line]
    assert f"iot-job-canceler {VERSION}," in function["Description"]
    assert function["CodeSize"] == (first / ARCHIVE).stat().st_size
    assert {line["version"] for line in lines} == {VERSION}


# Rejected releases


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    return tmp_path / "clone"


def test_uncommitted_changes_are_rejected(clone: Path, tmp_path: Path) -> None:
    (clone / "src" / "handler" / "left.py").touch()
    with pytest.raises(NotReleasable, match=r"uncommitted changes:\n\?\? src/handler/left\.py"):
        release.release(clone, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize(
    ("name", "text_of_version", "rejection"),
    [
        ("template.yaml", f"SemanticVersion: {VERSION}", "SemanticVersion in template.yaml 99.0.0"),
        ("template.yaml", f"Description: iot-job-canceler {VERSION},", "the function's description 99.0.0"),
        ("template.yaml", f"iot-job-canceler:version: {VERSION}", "the function's tag 99.0.0"),
        ("template.yaml", f"    Value: {VERSION}", "the output Version in template.yaml 99.0.0"),
        ("CHANGELOG.md", f"## {VERSION} - ", "the first section of CHANGELOG.md 99.0.0"),
    ],
)
def test_different_versions_are_rejected(
    clone: Path, tmp_path: Path, name: str, text_of_version: str, rejection: str
) -> None:
    text = (clone / name).read_text()
    assert text.count(text_of_version) == 1
    (clone / name).write_text(text.replace(text_of_version, text_of_version.replace(VERSION, "99.0.0")))
    git(clone, "commit", "--quiet", "--all", "--message", "Another version")
    with pytest.raises(NotReleasable, match=re.escape(f"src/handler/version.py says {VERSION}, {rejection}")):
        release.release(clone, tmp_path / "dist")


def test_a_directory_without_a_repository_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(NotReleasable, match="not a git repository"):
        release.release(tmp_path, tmp_path / "dist")


def test_make_calls_it() -> None:
    command = ["make", "--dry-run", "release"]
    done = subprocess.run(command, cwd=sam.ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    assert "python -m tools release" in done.stdout.splitlines()
