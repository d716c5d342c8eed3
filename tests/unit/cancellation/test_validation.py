"""Each reader returns the value, or names the field and what it allows."""

import re
from typing import Any

import pytest

from handler.cancellation.validation import (
    is_job_id,
    most_similar,
    quoted,
    read_flag,
    read_job_id,
    read_object,
    read_text,
    read_texts,
    without_quotes,
)
from handler.errors import RequestRejected

LETTERS = re.compile("[a-z]{1,3}")


def rejection(read: Any, *arguments: Any, **options: Any) -> tuple[str, str]:
    with pytest.raises(RequestRejected) as caught:
        read(*arguments, **options)
    return caught.value.field, caught.value.allowed


@pytest.mark.parametrize("value", [{}, {"a": 1}, {"b": 0, "a": []}])
def test_object_with_known_keys_is_returned_unchanged(value: dict[str, object]) -> None:
    assert read_object("detail", value, ("a", "b")) is value


@pytest.mark.parametrize("value", [None, [], "a", 5, True, ["a"]])
def test_other_type_than_object_is_rejected_with_the_allowed_keys(value: object) -> None:
    assert rejection(read_object, "detail", value, ("a", "b")) == ("detail", "must be an object with the keys a, b")


@pytest.mark.parametrize("value", [{"b": None}, {"a": 1, "b": None}])
def test_null_is_rejected_with_its_path(value: dict[str, object]) -> None:
    assert rejection(read_object, "cancel", value, ("a", "b")) == ("b", "must not be null")
    assert rejection(read_object, "detail", value, ("a", "b"), path="detail.") == ("detail.b", "must not be null")


def test_empty_string_is_rejected_with_its_path() -> None:
    allowed = "must not be empty: set a value, or omit it"
    assert rejection(read_object, "cancel", {"a": 1, "b": ""}, ("a", "b")) == ("b", allowed)
    assert rejection(read_object, "detail", {"b": ""}, ("a", "b"), path="detail.") == ("detail.b", allowed)


@pytest.mark.parametrize(
    ("name", "similar"),
    [
        ("JobIdGlob", "jobIdGlob"),
        ("JOBIDGLOB", "jobIdGlob"),
        ("jobIdGlobs", "jobIdGlob"),
        ("Select.jobIDGlob", "jobIdGlob"),
        ("froce", "force"),
        ("reason", None),
        ("glob", None),
        ("", None),
        ("Select.", None),
        ("force" * 1000, None),
    ],
)
def test_similar_name_differs_by_case_or_a_few_letters(name: str, similar: str | None) -> None:
    assert most_similar(name, ("jobIdGlob", "force", "reasonCode")) == similar


def test_unknown_key_that_is_similar_to_a_known_one_names_that() -> None:
    rejected = rejection(read_object, "cancel", {"jobid": "a"}, ("jobId", "jobIds"))
    assert rejected == ("cancel", "unknown key 'jobid'; did you mean jobId")


@pytest.mark.parametrize(
    ("value", "unknown"),
    [({"a": 1, "B-": 2}, "'B-'"), ({"z": 1, "c": 2}, "'c'"), ({"": 1}, "''"), ({"x" * 50: 1}, f"'{'x' * 40}...'")],
)
def test_first_unknown_key_is_named(value: dict[str, object], unknown: str) -> None:
    allowed = f"unknown key {unknown}; the keys are a, b"
    assert rejection(read_object, "detail", value, ("a", "b")) == ("detail", allowed)


@pytest.mark.parametrize(
    ("value", "default", "flag"), [(None, True, True), (None, False, False), (True, False, True), (False, True, False)]
)
def test_flag_is_a_boolean_or_the_default(value: object, default: bool, flag: bool) -> None:
    assert read_flag("force", value, default=default) is flag


@pytest.mark.parametrize("value", ["yes", "true ", "1", 0, 1, "", [], {}])
def test_other_type_than_boolean_is_rejected(value: object) -> None:
    assert rejection(read_flag, "force", value, default=True) == ("force", "must be true or false")


@pytest.mark.parametrize("value", ["true", "false", "True", "FALSE"])
def test_boolean_in_quotes_is_rejected_with_a_hint(value: str) -> None:
    allowed = "must be true or false, without quotes"
    assert rejection(read_flag, "force", value, default=True) == ("force", allowed)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("5", ", without quotes"),
        ("123456789", ", without quotes"),
        ("0.5", ", without quotes"),
        ("1234567890", ""),  # a template may have it, where it is in quotes too
        ("-5", ""),
        ("٥", ""),
        ("5.", ""),
        ("true", ""),
        ("", ""),
        (5, ""),
        (None, ""),
    ],
)
def test_number_in_quotes_has_a_hint(value: object, hint: str) -> None:
    assert without_quotes(value) == hint


@pytest.mark.parametrize("value", ["a", "abc"])
def test_matching_text_is_returned(value: str) -> None:
    assert read_text("name", value, LETTERS, "letters") == value


@pytest.mark.parametrize("value", ["", "abcd", "A", "ab\n", " a", None, 5, ["a"], b"a"])
def test_text_must_match_in_full(value: object) -> None:
    assert rejection(read_text, "name", value, LETTERS, "letters") == ("name", "must be a string of letters")


def test_list_of_texts_keeps_its_order() -> None:
    assert read_texts("names", ["b", "a", "b"], LETTERS, "letters") == ("b", "a", "b")


@pytest.mark.parametrize("value", [None, [], "a", {"a": "b"}, ("a",)])
def test_list_must_have_at_least_one_text(value: object) -> None:
    allowed = "must be a list of at least one string"
    assert rejection(read_texts, "names", value, LETTERS, "letters") == ("names", allowed)


def test_rejected_text_of_a_list_is_named_by_its_index() -> None:
    rejected = rejection(read_texts, "names", ["a", "b", 5], LETTERS, "letters")
    assert rejected == ("names[2]", "must be a string of letters")


def test_job_id_is_returned_or_rejected() -> None:
    assert read_job_id("jobId", "a-Z_9") == "a-Z_9"
    allowed = "must be a string of 1 to 64 of the characters a-z A-Z 0-9 _ -"
    assert rejection(read_job_id, "jobId", "a.b") == ("jobId", allowed)


@pytest.mark.parametrize(
    ("value", "is_accepted"),
    [
        ("a", True),
        ("x" * 64, True),
        ("x" * 65, False),
        ("", False),
        ("a\n", False),
        ("ä", False),
        (5, False),
        (None, False),
    ],
)
def test_job_id_has_1_to_64_allowed_characters(value: object, is_accepted: bool) -> None:
    assert is_job_id(value) is is_accepted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", "'a'"),
        ("", "''"),
        ("x" * 40, "'" + "x" * 40 + "'"),
        ("x" * 41, "'" + "x" * 40 + "...'"),
        ("ä\n\x1b[31m", "'\\xe4\\n\\x1b[31m'"),
        ("\ud800", "'\\ud800'"),
    ],
)
def test_quoted_text_is_short_ascii(text: str, expected: str) -> None:
    assert quoted(text) == expected
