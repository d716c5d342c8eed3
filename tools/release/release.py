"""`make release`: build the published files of the checked-out commit in dist/. The same commit gives the same bytes.

The files are the packed bundle, the template that deploys it, its SBOM, and the checksums. They contain nothing that
depends on the time, the machine or the user.
"""

import hashlib
import io
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from tools.errors import NotReleasable
from tools.localaws import sam
from tools.screen import Screen

from .sbom import Subject, build_sbom

NAME = "iot-job-canceler"
_CODE = "    CodeUri: src/\n"
_COPIED = ("LICENSE", "README.md")  # the template's metadata refers to them
# The content of these files depends on how pip was called.
_PIP_FILES = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


@dataclass(frozen=True)
class Commit:
    """A commit and its time."""

    sha: str
    at: datetime


def run(screen: Screen) -> int:
    """Write dist/, print its checksums, and return exit code 0."""
    dist = sam.ROOT / "dist"
    with screen.step("Build and pack the checked out commit"):
        commit = release(sam.ROOT, dist)
    screen.say(f"\nRelease of commit {commit.sha}, {commit.at:%Y-%m-%d %H:%M:%S} UTC, in {dist.name}/\n")
    screen.say((dist / "SHA256SUMS").read_text())
    return 0


def release(repository: Path, dist: Path) -> Commit:
    """Write the release of the commit that is checked out in `repository`. Raises NotReleasable and SamFailed."""
    commit = _checked_out(repository)
    with TemporaryDirectory(prefix="iot-job-canceler-") as temporary:
        source, new = Path(temporary) / "source", Path(temporary) / "dist"
        new.mkdir()
        _export(repository, commit, source)
        version = read_version(source)
        bundle = sam.build(source / ".aws-sam" / "build", root=source) / "Function"
        archive = new / f"{NAME}-{version}.zip"
        pack(bundle, archive, commit.at)
        subject = Subject(NAME, version, _sha256(archive), commit.sha, commit.at)
        archive.with_suffix(".cdx.json").write_text(build_sbom(subject, bundle))
        template = (source / "template.yaml").read_text()
        (new / "template.yaml").write_text(template.replace(_CODE, f"    CodeUri: {archive.name}\n"))
        for name in _COPIED:
            shutil.copyfile(source / name, new / name)
        sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in sorted(new.iterdir()))
        (new / "SHA256SUMS").write_text(sums)
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(new, dist)
    return commit


def read_version(source: Path) -> str:
    """Return the version. Raises NotReleasable if the template or the changelog has another one."""
    version = _search(r'^VERSION = "(.+)"$', source / "src" / "handler" / "version.py")
    versions = {
        "SemanticVersion in template.yaml": _search(r"^    SemanticVersion: (.+)$", source / "template.yaml"),
        "the function's description": _search(rf"^      Description: {NAME} (\S+), ", source / "template.yaml"),
        "the function's tag": _search(rf"^      Tags: \{{{NAME}:version: (\S+)\}}$", source / "template.yaml"),
        "the output Version in template.yaml": _search(
            r"^  Version:\n    Description: .+\n    Value: (\S+)$", source / "template.yaml"
        ),
        "the first section of CHANGELOG.md": _search(r"^## (\S+)", source / "CHANGELOG.md"),
    }
    for where, other in versions.items():
        if other != version:
            raise NotReleasable(f"src/handler/version.py says {version}, {where} {other}")
    if (source / "template.yaml").read_text().count(_CODE) != 1:
        raise NotReleasable(f"template.yaml must have one line {_CODE.strip()!r}")
    return version


def pack(bundle: Path, archive: Path, at: datetime) -> None:
    """Zip the files of `bundle`, sorted by name, with the same time and mode for all."""
    with zipfile.ZipFile(archive, "w") as packed:
        for name, path in _files(bundle):
            entry = zipfile.ZipInfo(name, at.timetuple()[:6])
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())


def _files(bundle: Path) -> Iterator[tuple[str, Path]]:
    for name, path in sorted((path.relative_to(bundle).as_posix(), path) for path in bundle.rglob("*")):
        is_excluded = path.parent.suffix == ".dist-info" and path.name in _PIP_FILES
        if path.is_file() and not is_excluded:
            yield name, path


def _checked_out(repository: Path) -> Commit:
    if changed := _git(repository, "status", "--porcelain").decode():
        raise NotReleasable(f"the working tree has uncommitted changes:\n{changed}")
    sha, seconds = _git(repository, "log", "-1", "--format=%H %ct").decode().split()
    return Commit(sha, datetime.fromtimestamp(int(seconds), UTC))


def _export(repository: Path, commit: Commit, source: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(_git(repository, "archive", commit.sha))) as archive:
        archive.extractall(source, filter="data")


def _git(repository: Path, *arguments: str) -> bytes:
    try:
        return subprocess.run(
            ["git", "-C", str(repository), *arguments],  # noqa: S607 - the one on the PATH
            capture_output=True,
            check=True,
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        output = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else ""
        raise NotReleasable(f"git {' '.join(arguments)}: {error}\n{output}") from error


def _search(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text(), re.MULTILINE)
    return found[1] if found else "nothing"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
