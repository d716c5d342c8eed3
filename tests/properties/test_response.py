"""The response to CloudFormation is never too large and never sent to another host, and its URL is never logged."""

import json
import string

import urllib3
from hypothesis import example, given, settings
from hypothesis import strategies as st

from handler.cloudformation.response import is_allowed_url, response_body
from handler.redaction import redact

any_text = st.text(st.characters(exclude_categories=()), max_size=40)
IDS = ("PhysicalResourceId", "StackId", "RequestId", "LogicalResourceId")
WHERE = "log group /aws/lambda/canceler, correlation_id c-1"
id_texts = st.text(st.characters(exclude_categories=()), max_size=30)


@given(reason=any_text, times=st.integers(1, 1500), ids=st.tuples(id_texts, id_texts, id_texts, id_texts))
@settings(max_examples=300)
@example(reason="x", times=5000, ids=("a", "b", "c", "d"))
@example(reason="\U0001f600", times=5000, ids=("a", "b", "c", "d"))
@example(reason="\ud83d", times=5000, ids=("\ude00", "b", "c", "d"))
@example(reason="\\", times=5000, ids=('"', "\x00", "é", "\u2028"))
@example(reason="", times=1, ids=("a", "b", "c", "d"))
def test_response_body_is_short_valid_json_with_unchanged_ids(
    reason: str, times: int, ids: tuple[str, str, str, str]
) -> None:
    fields = {"Status": "FAILED", **dict(zip(IDS, ids, strict=True)), "Data": {}}
    body = response_body(fields, reason * times, WHERE)
    response = json.loads(body)
    assert len(body) <= 4096
    assert body.isascii()
    sent_reason = response.pop("Reason")
    assert response == fields
    if not reason:
        assert sent_reason == ""
        return
    assert sent_reason.endswith(f" ({WHERE})")
    sent_reason = sent_reason.removesuffix(f" ({WHERE})")
    whole = json.loads(json.dumps(reason * times))  # two halves of a surrogate pair become one character
    assert sent_reason == whole or (sent_reason.endswith("...") and len(sent_reason) <= len(reason * times) + 3)


# Pieces that a parser may treat as the end of a host, and hosts that look like CloudFormation's.
pieces = st.sampled_from(
    [
        "example.com",
        "x.s3.amazonaws.com",
        ".amazonaws.com",
        "amazonaws.com",
        "localhost",
        "127.0.0.1",
        ":4566",
        ":443",
        *"\\/@#?:;%.[]| \t\n\r\x00",
        "%2f",
        "%5c",
        "\uff0f",
        "\u3002",
        "[::1]",
    ]
)
urls = st.tuples(
    st.sampled_from(["https://", "http://", "HTTPS://", "https:", "https:\\\\", "//", "", "https:///"]),
    st.lists(pieces, max_size=6).map("".join),
    st.sampled_from(["", "/", "/path?X-Amz-Signature=1"]),
).map("".join)


def destination(url: str) -> tuple[str | None, str | None, int | None] | None:
    """Scheme, host and port that the HTTP client would connect to, or None if it would refuse to."""
    try:
        target = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        return None
    return target.scheme, target.host, target.port


@given(url=urls)
@settings(max_examples=600)
@example(url="https://example.com\\.amazonaws.com/")
@example(url="https://example.com\\@x.s3.amazonaws.com/")
@example(url="https://x.s3.amazonaws.com@example.com/")
@example(url="https://example.com#.amazonaws.com")
@example(url="https://example.com?.amazonaws.com")
@example(url="https://example.com\t.amazonaws.com")
@example(url="https://example.com%2f.amazonaws.com")
@example(url="https://example.com\uff0f.amazonaws.com")
def test_response_goes_only_to_a_host_of_aws(url: str) -> None:
    target = destination(url)
    if is_allowed_url(url, "amazonaws.com", None) and target is not None:
        scheme, host, _ = target
        assert scheme == "https"
        assert host is not None
        assert host.lower().endswith(".amazonaws.com")


@given(url=urls)
@settings(max_examples=600)
@example(url="http://localhost:4566/")
@example(url="http://localhost:4566\\@example.com/")
@example(url="http://example.com\\@localhost:4566/")
@example(url="http://localhost/")
def test_response_may_go_to_the_local_endpoint(url: str) -> None:
    target = destination(url)
    if is_allowed_url(url, "amazonaws.com", "http://localhost:4566") and target is not None:
        scheme, host, port = target
        assert host is not None
        in_aws = scheme == "https" and host.lower().endswith(".amazonaws.com")
        assert in_aws or (host in {"localhost", "127.0.0.1", "[::1]"} and port == 4566)


labels = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=12)


# Characters that RFC 3986 allows in a path and in a query.
unreserved = string.ascii_letters + string.digits + "-._~!$&'()*+,;=:@/%"
around = st.text(st.characters(codec="utf-8", exclude_characters="?"), max_size=20)


@given(
    before=around,
    scheme=st.sampled_from(["http", "https", "HTTPS", "hTTp"]),
    host=labels,
    path=st.text(unreserved, max_size=20),
    query=st.text(unreserved + "?", max_size=20),
    after=st.just("") | st.tuples(st.sampled_from([" ", "\n", '"', "\t"]), around).map("".join),
)
@settings(max_examples=300)
@example(before="", scheme="HTTPS", host="x", path="p", query="", after="")
def test_every_query_string_is_redacted(
    *, before: str, scheme: str, host: str, path: str, query: str, after: str
) -> None:
    secret = f"X-Amz-Signature=topsecret{query}"
    text = f"{before}{scheme}://{host}/{path}?{secret}{after}"
    assert redact(text) == f"{before}{scheme}://{host}/{path}?REDACTED{after}"
    assert "topsecret" not in redact(json.dumps({"message": text, "nested": [text]}))


@given(text=st.text(st.characters(exclude_categories=(), exclude_characters="?")))
def test_text_without_a_query_string_is_unchanged(text: str) -> None:
    assert redact(text) == text
