"""Documents, docstrings, comments and messages use standard terms. Spelling is checked by codespell, in `make lint`."""

import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.template import ROOT

# Pattern of a rejected term (a space matches any white space) → the terms to use instead, and a text that is rejected.
RULES: dict[str, tuple[str, str]] = {
    "told|tells?|telling": ("report, log, publish, send, return or raise", "What is ignored is not told on the bus."),
    "a look|looks? first|looks? back|looks? at": ("poll, describe first, search", "A wait is a look at the jobs."),
    "paced?|its turn": ("rate limit, acquire", "Each job gets its turn."),
    "affordable|questions about": ("call budget, per-job API calls", "It takes 9 questions about single jobs."),
    "cap|h(?:e|o)ld against|holds against": ("job limit; check against", "It is held against the limit."),
    "leased?|leases|renews?|renewed": ("visibility timeout; extend", "The lease of a message has ended."),
    "comes? again|came again|taken up": ("is redelivered, is retried", "The message\ncomes again."),
    "giv(?:e|es|en|ing) up|gave up": ("timed out, failed, final response", "CloudFormation has given up."),
    "verdicts?|judged?|judges": ("result, response", "The status is the verdict."),
    "answer(?:s|ed|ing)?": ("response, result; respond, return", "CloudFormation gets its answer."),
    "asked": ("request, criteria, parameters", "The jobs that were asked for."),
    "left behind": ("earlier cancellation", "Jobs that were left behind."),
    "left out|leaves? out": ("excluded, ignored, omitted", "The property is left out."),
    r"(?:is|are) meant|means (?:\d+|more) jobs": ("match, select", "A run that means more jobs than this."),
    "live jobs?|lives? on|lived on": ("active; stays active", "Its jobs live on."),
    "at work|at rest": ("has running executions; complete", "The job is not at rest."),
    "made up": ("generated, forged", "The id was made up."),
    "mend(?:s|ed)?": ("fix", "Mend the cause."),
    "stands? in(?! front)": ("is in, is listed in", "It stands in the README."),
    "tak(?:e|es|en|ing) (?:it |them )?for|took (?:it )?for": ("treat as", "It is not taken for a job."),
    r"(?<!there\s)(?:is|are|was|were|be) no(?! longer| more)": ("is not a", "This would be no dry run."),
    "at the most|so many|for ever|anew|by now|meanwhile": ("at most, n, indefinitely, again, already", "Begin anew."),
    "belie(?:f|fs|ve|ves|ved)|sights?|scenes?|makings": (
        "assumption, observation, testbed",
        "Each belief has a probe.",
    ),
    "promise[sd]?": ("guarantee", "Each promise has a test."),
    "play(?:s|ed|ing)?": ("run, simulate", "Play thousands of histories."),
    "the floor|peers": ("baseline, alternatives", "Measure it against the floor."),
    "the house": ("architecture", "The rules of the house."),
    "bill of materials": ("SBOM", "The bill of materials."),
    "(?:no|some|any|every)body|whoever|whomever": ("the name of the actor", "Nobody may who may not force."),
    "what (?:is left|is not|cannot|can not|can't|could)": ("a noun", "What is left waits on a queue."),
    "gent(?:ly|le)": ("without force", "It was canceled gently."),
}
_TERMS = {
    pattern: re.compile(rf"(?<![\w-])(?:{pattern.replace(' ', r'\s+')})(?![\w-])", re.IGNORECASE) for pattern in RULES
}
# Texts with a rejected term that is right there.
ALLOWED = ("software bill of materials (SBOM)",)
_DIFF = re.compile(r"^```diff\n.*?^```$", re.DOTALL | re.MULTILINE)

DOCUMENTS = [path for glob in ("*.md", "docs/*.md", "examples/**/*.md", "tests/*.md") for path in ROOT.glob(glob)]
TEMPLATES = [ROOT / "template.yaml", ROOT / "Makefile", ROOT / "src" / "Makefile", *ROOT.glob("examples/**/*.yaml")]
WITH_MESSAGES = ("src", "iot_job_canceler", "tools", "examples")
CODE = [path for place in (*WITH_MESSAGES, "tests", "bench") for path in ROOT.glob(f"{place}/**/*.py")]
FILES = {path.relative_to(ROOT).as_posix(): path for path in sorted({*DOCUMENTS, *TEMPLATES, *CODE} - {Path(__file__)})}


def texts(path: Path, *, messages: bool) -> Iterator[tuple[int, str]]:
    """Yield the line and the text of each comment and docstring of a Python file, and of each other string."""
    strings, previous = {tokenize.STRING, tokenize.FSTRING_MIDDLE}, tokenize.NEWLINE
    with tokenize.open(path) as lines:
        for token in tokenize.generate_tokens(lines.readline):
            is_docstring = token.type == tokenize.STRING and previous in {tokenize.NEWLINE, tokenize.INDENT}
            if token.type == tokenize.COMMENT or is_docstring or (messages and token.type in strings):
                yield token.start[0], token.string
            if token.type not in {tokenize.COMMENT, tokenize.NL, tokenize.DEDENT}:
                previous = token.type


def rejected(text: str, first_line: int = 1) -> list[str]:
    """Return the line of each rejected term, with the terms to use instead."""
    for each in (*ALLOWED, *_DIFF.findall(text)):
        text = text.replace(each, "\n" * each.count("\n"))
    return [
        f"line {first_line + text.count('\n', 0, found.start())}: {found[0]!r}, write {RULES[pattern][0]}"
        for pattern, term in _TERMS.items()
        for found in term.finditer(text)
    ]


@pytest.mark.parametrize("name", FILES)
def test_file_uses_standard_terms(name: str) -> None:
    path = FILES[name]
    messages = name.startswith(WITH_MESSAGES)
    parts = texts(path, messages=messages) if path.suffix == ".py" else [(1, path.read_text())]
    assert [each for line, text in parts for each in rejected(text, line)] == []


@pytest.mark.parametrize("pattern", RULES)
def test_rule_rejects_its_example(pattern: str) -> None:
    instead, example = RULES[pattern]
    assert any(each.endswith(f"write {instead}") for each in rejected(example))


@pytest.mark.parametrize(
    "text",
    [
        "The report is published, and there is no response.",
        "The key `leftOut`, the log key `asked_by` and the assumption `cancel-answer`.",
        "The gate stands in front of the client. It is no longer active.",
        "The capacity of the queue, in place of a display.",
        "The software bill of materials (SBOM) of a bundle.",
    ],
)
def test_standard_terms_are_accepted(text: str) -> None:
    assert rejected(text) == []


@pytest.mark.parametrize(("messages", "lines"), [(True, [1, 2, 4, 5, 6]), (False, [1, 2, 5, 6])])
def test_comments_docstrings_and_messages_are_read(messages: bool, lines: list[int], tmp_path: Path) -> None:
    code = '"""Docstring."""\n# comment\nanswer = 1\nanswer("a message")\n"""Docstring."""  # answer\n'
    path = tmp_path / "module.py"
    path.write_text(
        f'{code}def answer() -> None:\n    """Docstring."""\n'.replace("def answer", "# comment\ndef answer")
    )
    assert sorted({line for line, _ in texts(path, messages=messages)}) == [*lines, 8]
