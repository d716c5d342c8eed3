"""A request can only make a run safer, with any limits of the stack."""

import re
import unicodedata
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cancellation.request import CancelReason, CancelRequest, StackLimits, parse_request
from handler.errors import RequestRejected

all_limits = st.builds(
    StackLimits,
    force=st.booleans(),
    dry_run=st.booleans(),
    max_jobs=st.integers(1, 4),
    job_id_prefix=st.sampled_from(["", "o", "ota-"]),
    protection_tag_key=st.just("cancel-protection"),
)
job_ids = st.sampled_from(["ota-1", "ota-2", "o", "a", "ota", "OTA-1", "", "x" * 64, "x" * 65, "ota-1\n", "ota-é"])
odd: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-1, 6) | st.text(max_size=3) | st.just([]) | st.just({}) | st.floats()
)
documents = st.fixed_dictionaries(
    {},
    optional={
        "jobId": job_ids | odd,
        "jobIds": st.lists(job_ids, max_size=6) | odd,
        "force": odd,
        "dryRun": odd,
        "maxJobs": odd,
        "reasonCode": st.from_regex(r"[A-Z_0-9a]{0,4}", fullmatch=True) | odd,
        "comment": st.text(max_size=4) | odd,
        "select": st.just({"jobIdGlob": "*"}) | odd,
        "other": odd,
    },
)
reasons = st.builds(CancelReason, reason_code=st.just("R"), comment=st.text(max_size=5).map(lambda text: f"by {text}"))


def parsed(document: object, limits: StackLimits, reason: CancelReason) -> CancelRequest | None:
    try:
        return parse_request(document, limits, reason)
    except RequestRejected:
        return None


OPEN = StackLimits(force=True, dry_run=False, max_jobs=4, job_id_prefix="", protection_tag_key="k")
SHUT = StackLimits(force=False, dry_run=True, max_jobs=1, job_id_prefix="ota-", protection_tag_key="k")
BY = CancelReason.default("R", "by test")


@given(document=documents, limits=all_limits, reason=reasons)
@settings(max_examples=500)
@example(document={"jobId": "ota-1", "force": True}, limits=SHUT, reason=BY)
@example(document={"jobId": "ota-1", "dryRun": False}, limits=SHUT, reason=BY)
@example(document={"jobId": "ota-1", "maxJobs": 2}, limits=SHUT, reason=BY)
@example(document={"jobId": "ota-1", "maxJobs": 0}, limits=SHUT, reason=BY)
@example(document={"jobIds": ["ota-1", "ota-2"]}, limits=SHUT, reason=BY)
@example(document={"jobId": "a"}, limits=SHUT, reason=BY)
@example(document={"jobIds": ["ota-1"] * 5}, limits=OPEN, reason=BY)
@example(document={"jobId": "a", "comment": "\ud800"}, limits=OPEN, reason=BY)
def test_no_request_exceeds_the_limits_of_the_stack(document: Any, limits: StackLimits, reason: CancelReason) -> None:
    request = parsed(document, limits, reason)
    if request is None:
        return
    assert request.dry_run or not limits.dry_run
    assert limits.force or not request.force
    assert 1 <= request.max_jobs <= limits.max_jobs
    assert len(request.job_ids) <= request.max_jobs
    assert (request.criteria is None) is (len(request.job_ids) > 0)
    assert len(set(request.job_ids)) == len(request.job_ids)
    assert all(job_id.startswith(limits.job_id_prefix) for job_id in request.job_ids)
    assert all(re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", job_id) for job_id in request.job_ids)
    assert re.fullmatch(r"[A-Z0-9_]{1,128}", request.reason.reason_code)
    assert 1 <= len(request.reason.comment) <= 2028
    assert not any(unicodedata.category(character).startswith("C") for character in request.reason.comment)


@given(document=documents, key=st.text(max_size=12), value=odd)
@settings(max_examples=200)
@example(document={"jobId": "ota-1"}, key="Force", value=False)
@example(document={"jobId": "ota-1"}, key="dryrun", value=True)
def test_unknown_key_is_rejected(document: dict[str, Any], key: str, value: Any) -> None:
    known = {"jobId", "jobIds", "select", "force", "dryRun", "maxJobs", "reasonCode", "comment"}
    if key not in known:
        assert parsed(document | {key: value}, OPEN, BY) is None
