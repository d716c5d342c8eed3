"""`make audit`: known vulnerabilities of the pinned packages, as OSV knows them.

It is no part of `make lint`: what is known of a package changes without any change here, and it needs the network.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

_FOUND, _CLEAN = 1, 0
_BANNER = "!" * 100
_SECONDS = 15  # for one answer of the service


def main(files: Sequence[str]) -> int:
    """Exit code: 1 if a vulnerability is known. 0 if none is, and also if nobody could be asked, which is said."""
    exit_code = _CLEAN
    for name in files:
        answer = subprocess.run(_command(name), capture_output=True, text=True, check=False)
        try:
            known = list(_vulnerabilities(json.loads(answer.stdout)))
        except ValueError:
            last = (answer.stderr.strip().splitlines() or ["no answer"])[-1]
            told = f"!! NOT AUDITED: {name}. No usable answer from the vulnerability service:\n!! {last}"
            _say(f"{_BANNER}\n{told}\n{_BANNER}")
            continue
        for line in known:
            _say(f"{name}: {line}")
        _say(f"{name}: {len(known)} known vulnerabilities")
        exit_code = _FOUND if known else exit_code
    return exit_code


def _command(name: str) -> list[str]:
    """Nothing is installed: the files name every package, with its hashes."""
    options = [
        "--vulnerability-service",
        "osv",
        "--timeout",
        str(_SECONDS),
        "--format",
        "json",
        "--progress-spinner",
        "off",
    ]
    return [sys.executable, "-m", "pip_audit", "--require-hashes", "--disable-pip", *options, "--requirement", name]


def _vulnerabilities(answer: Any) -> Iterator[str]:
    """Raises ValueError if a package was left out: that would read as a clean one."""
    for package in answer["dependencies"]:
        if "skip_reason" in package:
            raise ValueError(package["skip_reason"])
        for each in package["vulns"]:
            fixed = ", ".join(each["fix_versions"]) or "no version"
            yield f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
