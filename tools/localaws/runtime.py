"""The packages of Lambda's Python runtime: boto3 and its requirements, and none of this repository's tools."""

import importlib.metadata
import re
from pathlib import Path


def link_packages(directory: Path) -> Path:
    """Create `directory` with links to the installed packages, and return it."""
    directory.mkdir()
    wanted, seen = ["boto3"], set()
    while wanted:
        name = wanted.pop()
        if name in seen:
            continue
        seen.add(name)
        distribution = importlib.metadata.distribution(name)
        requirements = [text for text in distribution.requires or [] if "extra ==" not in text]
        wanted += [re.split(r"[^A-Za-z0-9._-]", text, maxsplit=1)[0] for text in requirements]
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            (directory / top).symlink_to(Path(str(distribution.locate_file(top))))
    return directory
