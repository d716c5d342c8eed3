"""Remove secrets from text. ResponseURL is a bearer secret: its query string is enough to forge a response."""

import re

_QUERY = re.compile(r"(https?://[^\s?\"\\]*)\?[^\s\"\\]*", re.IGNORECASE)
_SIGNATURE = re.compile(r"(X-Amz-[a-z-]+)=[^&\s\"'\\]*", re.IGNORECASE)


def redact(text: str) -> str:
    """Return `text` without the query string of any URL, and without request signatures anywhere."""
    # Each match of _QUERY contains `://`, and each of _SIGNATURE `=`. Most text has neither. Regular expressions are
    # slow.
    if "://" not in text and "=" not in text:
        return text
    return _SIGNATURE.sub(r"\1=REDACTED", _QUERY.sub(r"\1?REDACTED", text))
