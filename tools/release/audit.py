"""`make audit`: list the known vulnerabilities of the pinned packages, as published by OSV.

It is not a part of `make lint`, because it needs the network and its result changes without a change of the repository.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

_BANNER = "!" * 100
# Nothing is installed: the files contain every package with its hashes. OSV must respond within 15 seconds.
_OPTIONS = (
    "--require-hashes --disable-pip --vulnerability-service osv --timeout 15 --format json --progress-spinner off"
)


def main(files: Sequence[str]) -> int:
    """Return exit code 1 if a vulnerability is known, otherwise 0. Prints a warning if the service is not available."""
    exit_code = 0
    for name in files:
        command = [sys.executable, "-m", "pip_audit", *_OPTIONS.split(), "--requirement", name]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        try:
            known = list(_vulnerabilities(json.loads(result.stdout)))
        except ValueError:
            last = (result.stderr.strip().splitlines() or ["no error message"])[-1]
            warning = f"!! NOT AUDITED: {name}. No usable response from the vulnerability service:\n!! {last}"
            _say(f"{_BANNER}\n{warning}\n{_BANNER}")
            continue
        for line in known:
            _say(f"{name}: {line}")
        _say(f"{name}: {len(known)} known vulnerabilities")
        exit_code = 1 if known else exit_code
    return exit_code


def _vulnerabilities(response: Any) -> Iterator[str]:
    """Yield a line for each vulnerability. Raises ValueError if a package was not audited."""
    for package in response["dependencies"]:
        if "skip_reason" in package:
            raise ValueError(package["skip_reason"])
        for each in package["vulns"]:
            fixed = ", ".join(each["fix_versions"]) or "no version"
            yield f"{package['name']} {package['version']}: {each['id']}, fixed in {fixed}"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
