"""Secrets made unreadable in texts: the second line of defence, after not writing them at all.

Formats: GitHub's token prefixes (docs.github.com, "About authentication to GitHub"; since 2026 an
installation token is `ghs_` and a JSON web token, `-` included); RFC 7515 (a JWT begins with the
base64url of `{"`, and so does a JIT configuration); RFC 7468 (PEM). `remember` tells what else is
secret.
"""

import logging
import re
import threading

HIDDEN = "[redacted]"
SHORTEST = 8  # what is shorter would hide ordinary words
_PATTERNS = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|\bgithub_pat_\w{20,}"
    r"|\bgh[pousr]_[\w.\-]{16,}"
    r"|\bey[IJ][\w\-+/]{8,}=*(?:\.[\w\-]*){0,4}"
    r"|(?i:(?<=bearer )|(?<=remoteauth ))[\w.\-~+/]{8,}=*",
    re.DOTALL,
)
# A field of GitHub's answers by its name, in JSON or quoted once more.
_FIELDS = re.compile(r"((?:token|encoded_jit_config)\\?\"\s*:\s*\\?\")[^\"\\]+")
_KEPT = 1_000  # each is looked for in each line
_known: dict[str, None] = {}
_lasting: dict[str, None] = {}
# At DEBUG these write down requests, signatures and answers, before anybody knows what is secret.
_WIRES = ("boto3", "botocore", "httpcore", "httpx", "urllib3")
_lock = threading.Lock()


def remember(secret: str, *, lasting: bool = False) -> None:
    """Hide this secret from now on. The oldest of a thousand is forgotten, unless it is `lasting`.

    Those are the few of the configuration; the others come and go with GitHub's tokens.
    """
    if len(secret) < SHORTEST:
        return
    with _lock:
        if lasting:
            _lasting[secret] = None
            return
        _known.pop(secret, None)
        _known[secret] = None
        if len(_known) > _KEPT:
            del _known[next(iter(_known))]


def redacted(text: str) -> str:
    """The text without anything that is, or looks like, a secret."""
    with _lock:
        known = [secret for secret in (*_lasting, *_known) if secret in text]
    # The longest first: one secret may hold another.
    for secret in sorted(known, key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return _FIELDS.sub(rf"\g<1>{HIDDEN}", _PATTERNS.sub(HIDDEN, text))


class RedactingFormatter(logging.Formatter):
    """Formats a record as another formatter does, traceback included, and hides secrets."""

    def __init__(self, inner: logging.Formatter) -> None:
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """The line, or lines, as they may be written."""
        return redacted(self._inner.format(record))


def guard_logs() -> None:
    """Have every handler of the root logger, and of uvicorn's, hide secrets. Safe to repeat.

    Libraries that write down what goes over the wire are kept from it.
    """
    for name in _WIRES:
        if logging.getLogger(name).getEffectiveLevel() < logging.INFO:
            logging.getLogger(name).setLevel(logging.INFO)
    for name in ("", "uvicorn", "uvicorn.error", "uvicorn.access", "temporalio"):
        for handler in logging.getLogger(name).handlers:
            inner = handler.formatter or logging.Formatter()
            if not isinstance(inner, RedactingFormatter):
                handler.setFormatter(RedactingFormatter(inner))
