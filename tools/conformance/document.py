"""`make document`: write docs/aws-behaviour.md, which lists the assumptions."""

from collections.abc import Iterable
from pathlib import Path

from tools.screen import Screen

from .assumption import Assumption
from .assumptions import ASSUMPTIONS
from .differences import DIFFERENCES

PATH = Path(__file__).parents[2] / "docs" / "aws-behaviour.md"

_HEAD = """\
# What the code assumes about AWS IoT Jobs

Made of [`tools/conformance/assumptions`](../tools/conformance/assumptions) by `make document`: change it there.

Each of these is data with a probe, and is held against three backends: in `make test` against moto with the IoT Jobs
rules put right, in `make nightly` against MiniStack with IAM enforced, and by `make verify-aws` against a real account.
**The last one has never been done:** nothing of this was tried by us on AWS itself. The evidence says where an
assumption comes from: **D** is documented by AWS or stands in the service model, **O** was observed by others against
the real service, **I** is inferred, and **?** is not established. For the last two, everything that the code copes
with is expected, and it is our own code that is held against the service.

```sh
make verify-aws                                   # asks first; your credentials, your Region
make verify-aws ARGS="--yes --endpoint-url http://localhost:4566"    # a MiniStack stands in (`make up` starts one)
```

It makes things, a group and jobs of its own, at up to 5 calls a second, and deletes them again: also after Ctrl-C or a
SIGTERM, but not after a SIGKILL. Their names begin with a prefix that it prints. The permissions that it needs are
`iotjobsdata:UpdateJobExecution` and, of `iot`, AddThingToThingGroup, CancelJob, CancelJobExecution, CreateJob,
CreateThing, CreateThingGroup, DeleteJob, DeleteThing, DeleteThingGroup, DescribeEndpoint, DescribeJob, DescribeThing,
DescribeThingGroup, ListJobExecutionsForJob, ListJobs, ListTagsForResource and TagResource.

Not among the assumptions, since nobody can have them to order on a real account: throttling, AccessDenied (the end to
end tests have it on MiniStack), an answer that is lost, and a lag of known length.

## Assumptions
"""

_DIFFERENCES = """\
## Where a local AWS differs

Each of these is asserted: a difference that goes away fails the tests, as a new one does.
"""


def document() -> str:
    """Return the whole text."""
    assumptions = _table(("Assumption", "", "Evidence", "Expected"), (_row(assumption) for assumption in ASSUMPTIONS))
    differences = _table(
        ("Backend", "Assumption", "What it does instead"),
        ((each.backend, f"`{each.assumption}`", f"`{each.instead}`") for each in DIFFERENCES),
    )
    return f"{_HEAD}\n{assumptions}\n\n{_DIFFERENCES}\n{differences}\n"


def write(screen: Screen) -> int:
    """Write the document, and return exit code 0."""
    PATH.write_text(document())
    screen.say(f"{PATH.relative_to(Path.cwd(), walk_up=True)} is written.")
    return 0


def _row(assumption: Assumption) -> tuple[str, ...]:
    expected = " or ".join(f"`{each}`" for each in assumption.expected)
    return f"`{assumption.name}`", assumption.claim, assumption.evidence, expected


def _table(columns: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = tuple(columns)
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))
