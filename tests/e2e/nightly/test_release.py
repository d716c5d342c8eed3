"""`make release`: one commit gives the same bytes, wherever and whenever it is built, and these bytes run."""

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
BILL = f"iot-job-canceler-{VERSION}.cdx.json"
COMMITTED = datetime(2026, 11, 24, 3, 2, 1, tzinfo=UTC)
SIZE_LIMIT = 2 * 1024 * 1024


def git(repository: Path, *arguments: str) -> str:
    who = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.com", "-c", "commit.gpgsign=false"]
    when = {"GIT_AUTHOR_DATE": COMMITTED.isoformat(), "GIT_COMMITTER_DATE": COMMITTED.isoformat()}
    command = ["git", *who, "-C", str(repository), *arguments]
    return subprocess.run(command, env=os.environ | when, check=True, capture_output=True, text=True).stdout  # noqa: S603


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose one commit is what lies in this folder."""
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
    """What is released of a clone."""
    return released(origin, tmp_path_factory.mktemp("first"))


@pytest.fixture(scope="module")
def second(origin: Path, first: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: ARG001 - after it
    """The same of another clone, somewhere else and later, by somebody with other habits."""
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


def test_two_builds_of_one_commit_are_the_same_bytes(first: Path, second: Path) -> None:
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(["LICENSE", "README.md", "SHA256SUMS", "template.yaml", ARCHIVE, BILL])
    assert {name: (first / name).read_bytes() for name in names} == {
        name: (second / name).read_bytes() for name in names
    }


def test_the_sums_are_those_of_the_files(first: Path) -> None:
    files = sorted(path for path in first.iterdir() if path.name != "SHA256SUMS")
    told = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}" for path in files]
    assert (first / "SHA256SUMS").read_text().splitlines() == told


def test_the_bundle_holds_nothing_of_its_making(first: Path) -> None:
    with zipfile.ZipFile(first / ARCHIVE) as archive:
        entries = archive.infolist()
    assert [entry.filename for entry in entries] == sorted(entry.filename for entry in entries)
    assert {entry.date_time for entry in entries} == {(2026, 11, 24, 3, 2, 0)}  # a zip counts in steps of two seconds
    assert {entry.external_attr >> 16 for entry in entries} == {0o100644}
    noise = re.compile(r"/(RECORD|INSTALLER|REQUEST_DETAIL_TYPE|direct_url\.json)$")
    assert [entry.filename for entry in entries if noise.search(entry.filename)] == []


def test_the_bundle_is_small_and_pure_python(first: Path) -> None:
    with zipfile.ZipFile(first / ARCHIVE) as archive:
        names = archive.namelist()
    assert [name for name in names if Path(name).suffix in {".so", ".pyd", ".dylib", ".dll"}] == []
    assert {"handler/app.py", "crhelper/__init__.py", "aws_lambda_powertools/__init__.py"} <= set(names)
    assert (first / ARCHIVE).stat().st_size < SIZE_LIMIT


def test_the_bill_is_valid_and_tells_what_the_bundle_holds(first: Path) -> None:
    text = (first / BILL).read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    told = {each["purl"]: each["licenses"][0]["license"]["id"] for each in bill["components"]}
    pins = re.findall(r"^([\w-]+)==(\S+)", (sam.ROOT / "src" / "requirements.txt").read_text(), re.MULTILINE)
    assert set(told) == {f"pkg:pypi/{name}@{version}" for name, version in pins}
    assert set(told.values()) == {"MIT", "Apache-2.0", "PSF-2.0"}
    whole = bill["metadata"]["component"]
    assert (whole["name"], whole["version"]) == ("iot-job-canceler", VERSION)
    assert whole["hashes"] == [
        {"alg": "SHA-256", "content": hashlib.sha256((first / ARCHIVE).read_bytes()).hexdigest()}
    ]
    assert bill["metadata"]["timestamp"] == COMMITTED.isoformat()
    needs = {each["ref"].split("/")[-1].split("@")[0]: len(each.get("dependsOn", [])) for each in bill["dependencies"]}
    assert needs == {
        "iot-job-canceler": 2,
        "aws-lambda-powertools": 2,
        "crhelper": 0,
        "jmespath": 0,
        "typing-extensions": 0,
    }


def test_the_release_runs_and_tells_its_version(aws: LocalAws, first: Path) -> None:
    """Without a prefix the stack takes every request on the default bus, so it must not outlive this test."""
    with deployed(aws, first, "published") as published:
        function = aws.client("lambda").get_function_configuration(FunctionName=published.function_name)
        job_id = published.job("released")
        assert published.invoke({"cancel": {"jobId": job_id}})["counts"] == {"CANCELED": 1}
        lines = [json.loads(line) for line in published.log.lines() if '"report"' in line]
    assert f"iot-job-canceler {VERSION}," in function["Description"]
    assert function["CodeSize"] == (first / ARCHIVE).stat().st_size
    assert {line["version"] for line in lines} == {VERSION}


# What is refused


@pytest.fixture
def clone(origin: Path, tmp_path: Path) -> Path:
    git(tmp_path, "clone", "--quiet", str(origin), "clone")
    return tmp_path / "clone"


def test_what_is_not_committed_is_not_released(clone: Path, tmp_path: Path) -> None:
    (clone / "src" / "handler" / "left.py").touch()
    with pytest.raises(NotReleasable, match=r"uncommitted changes:\n\?\? src/handler/left\.py"):
        release.release(clone, tmp_path / "dist")
    assert not (tmp_path / "dist").exists()


@pytest.mark.parametrize(
    ("name", "told", "refusal"),
    [
        ("template.yaml", f"SemanticVersion: {VERSION}", "SemanticVersion in template.yaml 99.0.0"),
        ("template.yaml", f"Description: iot-job-canceler {VERSION},", "the function's description 99.0.0"),
        ("CHANGELOG.md", f"## {VERSION} - ", "the first section of CHANGELOG.md 99.0.0"),
    ],
)
def test_versions_that_differ_are_refused(clone: Path, tmp_path: Path, name: str, told: str, refusal: str) -> None:
    text = (clone / name).read_text()
    assert text.count(told) == 1
    (clone / name).write_text(text.replace(told, told.replace(VERSION, "99.0.0")))
    git(clone, "commit", "--quiet", "--all", "--message", "Another version")
    with pytest.raises(NotReleasable, match=re.escape(f"src/handler/version.py says {VERSION}, {refusal}")):
        release.release(clone, tmp_path / "dist")


def test_where_there_is_no_commit_there_is_no_release(tmp_path: Path) -> None:
    with pytest.raises(NotReleasable, match="not a git repository"):
        release.release(tmp_path, tmp_path / "dist")


def test_make_calls_it() -> None:
    command = ["make", "--dry-run", "release"]
    told = subprocess.run(command, cwd=sam.ROOT, check=True, capture_output=True, text=True)  # noqa: S603
    assert "python -m tools release" in told.stdout.splitlines()
