"""`make document`: write docs/aws-behavior.md, which lists the assumptions."""

from collections.abc import Iterable
from pathlib import Path

from tools.screen import Screen

from .assumption import Assumption
from .assumptions import ASSUMPTIONS
from .differences import DIFFERENCES

PATH = Path(__file__).parents[2] / "docs" / "aws-behavior.md"

_HEAD = """\
# Assumptions about AWS IoT Jobs

For maintainers, and for operators who want to check the function against their own account. This page lists what the
code assumes about AWS IoT Jobs, the evidence for each assumption, and where a local AWS differs.

`make document` writes this page from [`tools/conformance/assumptions`](../tools/conformance/assumptions). Change the
assumptions there.

Each assumption is data with a probe. `make test` checks them against moto with the rules of IoT Jobs
(`tools/simulators/iot.py`). `make nightly` checks them against MiniStack. `make verify-aws` checks them against a
real account. The [README](../README.md) says whether that was done.

| Evidence | Source of the assumption |
| --- | --- |
| **D** | AWS documents it, or the service model contains it |
| **O** | other users of the service observed it |
| **I** | inferred |
| **?** | unknown |

For **I** and **?**, every result that the function handles is expected. Their probes call the function's own code.

```sh
make verify-aws                                   # asks first; your credentials, your Region
make verify-aws ARGS="--yes --endpoint-url http://localhost:4566"    # against a MiniStack (`make up` starts one)
```

The command creates things, a thing group and jobs, with at most 5 calls per second. It deletes them at the end, and
also after Ctrl-C or a SIGTERM, but not after a SIGKILL. Their names start with a prefix that the command prints. It
needs the permission `iotjobsdata:UpdateJobExecution` and, in the service `iot`, these permissions:
AddThingToThingGroup, CancelJob, CancelJobExecution, CreateJob, CreateThing, CreateThingGroup, DeleteJob, DeleteThing,
DeleteThingGroup, DescribeEndpoint, DescribeJob, DescribeThing, DescribeThingGroup, ListJobExecutionsForJob, ListJobs,
ListTagsForResource and TagResource.

Some behavior cannot be provoked on a real account, and is not in the list: throttling, AccessDenied (the end-to-end
tests provoke it on MiniStack), a lost response, and a delay of known length.

## Assumptions
"""

_DIFFERENCES = """\
## Where a local AWS differs

The tests assert each difference. They fail if a difference disappears, and if a new one appears.
"""


def document() -> str:
    """Return the whole text."""
    assumptions = _table(
        ("Name", "Assumption", "Evidence", "Expected"), (_row(assumption) for assumption in ASSUMPTIONS)
    )
    differences = _table(
        ("Backend", "Name", "Result of its probe"),
        ((each.backend, f"`{each.assumption}`", f"`{each.instead}`") for each in DIFFERENCES),
    )
    return f"{_HEAD}\n{assumptions}\n\n{_DIFFERENCES}\n{differences}\n"


def write(screen: Screen) -> int:
    """Write the document, and return exit code 0."""
    PATH.write_text(document())
    screen.say(f"{PATH.relative_to(Path.cwd(), walk_up=True)} was written.")
    return 0


def _row(assumption: Assumption) -> tuple[str, ...]:
    expected = " or ".join(f"`{each}`" for each in assumption.expected)
    return f"`{assumption.name}`", assumption.claim, assumption.evidence, expected


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(columns)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
