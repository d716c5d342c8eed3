"""`make release`: what is published of one commit, in dist/. The same commit gives the same bytes.

The bundle is built from the commit and nothing else, and is packed without anything that the time, the place or the
person adds. A template that deploys it, its bill of materials and the sums of all that go along.
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

from . import sam
from .bill import Subject, bill_of_materials
from .errors import NotReleasable
from .screen import Screen

NAME = "iot-job-canceler"
_CODE = "    CodeUri: src/\n"
_PUBLISHED_WITH_IT = ("LICENSE", "README.md")  # the template's metadata name them
# What pip leaves behind depends on how it was called.
_NOISE = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


@dataclass(frozen=True)
class Commit:
    """A commit, and when it was made."""

    sha: str
    at: datetime


def run(screen: Screen) -> int:
    """Exit code: 0 if dist/ holds the release of the commit that is checked out."""
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
        archive.with_suffix(".cdx.json").write_text(bill_of_materials(subject, bundle))
        template = (source / "template.yaml").read_text()
        (new / "template.yaml").write_text(template.replace(_CODE, f"    CodeUri: {archive.name}\n"))
        for name in _PUBLISHED_WITH_IT:
            shutil.copyfile(source / name, new / name)
        sums = "".join(f"{_sha256(path)}  {path.name}\n" for path in sorted(new.iterdir()))
        (new / "SHA256SUMS").write_text(sums)
        shutil.rmtree(dist, ignore_errors=True)
        shutil.copytree(new, dist)
    return commit


def read_version(source: Path) -> str:
    """The version, which the template and the changelog must tell too. Raises NotReleasable."""
    version = _found(r'^VERSION = "(.+)"$', source / "src" / "handler" / "version.py")
    told = {
        "SemanticVersion in template.yaml": _found(r"^    SemanticVersion: (.+)$", source / "template.yaml"),
        "the function's description": _found(rf"^      Description: {NAME} (\S+), ", source / "template.yaml"),
        "the first section of CHANGELOG.md": _found(r"^## (\S+)", source / "CHANGELOG.md"),
    }
    for where, other in told.items():
        if other != version:
            raise NotReleasable(f"src/handler/version.py says {version}, {where} {other}")
    if (source / "template.yaml").read_text().count(_CODE) != 1:
        raise NotReleasable(f"template.yaml must have one line {_CODE.strip()!r}")
    return version


def pack(bundle: Path, archive: Path, at: datetime) -> None:
    """Zip the files of `bundle`: by name, with one time and one mode for all."""
    with zipfile.ZipFile(archive, "w") as packed:
        for name, path in _files(bundle):
            entry = zipfile.ZipInfo(name, at.timetuple()[:6])
            entry.create_system = 3  # Unix, wherever this runs
            entry.external_attr = 0o100644 << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, path.read_bytes())


def _files(bundle: Path) -> Iterator[tuple[str, Path]]:
    for name, path in sorted((path.relative_to(bundle).as_posix(), path) for path in bundle.rglob("*")):
        is_noise = path.parent.suffix == ".dist-info" and path.name in _NOISE
        if path.is_file() and not is_noise:
            yield name, path


def _checked_out(repository: Path) -> Commit:
    if changed := _git(repository, "status", "--porcelain").decode():
        raise NotReleasable(f"there is something that is not in the commit:\n{changed}")
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
        said = error.stderr.decode(errors="replace") if isinstance(error, subprocess.CalledProcessError) else ""
        raise NotReleasable(f"git {' '.join(arguments)}: {error}\n{said}") from error


def _found(pattern: str, path: Path) -> str:
    found = re.search(pattern, path.read_text(), re.MULTILINE)
    return found[1] if found else "nothing"


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
