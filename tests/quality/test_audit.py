"""A known vulnerability is red, an index that cannot be asked is one line."""

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from quality.audit import Finding, audit, findings

KNOWN = {
    "vulns": [
        {
            "id": "PYSEC-0000-1",
            "summary": "a test",
            "affected": [{"package": {"name": "idna", "ecosystem": "PyPI"}, "ranges": []}],
        }
    ]
}


@pytest.fixture
def lock(tmp_path: Path) -> Path:
    """One package, by hash."""
    made = tmp_path / "lock.txt"
    made.write_text(f"idna==3.6 \\\n    --hash=sha256:{'0' * 64}\n")
    return made


@pytest.fixture
def service() -> Generator[tuple[str, list[dict[str, object]]]]:
    """A service of vulnerabilities (OSV's), and what it answers next."""
    answers: list[dict[str, object]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.dumps(answers[-1]).encode()
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query", answers
    server.shutdown()
    server.server_close()


def test_pip_audit_is_asked_and_believed(lock, service, monkeypatch) -> None:
    """A vulnerability is named with its package; without one all is well."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    url, answers = service
    more = ("--vulnerability-service", "osv", "--osv-url", url)
    answers.append(KNOWN)
    found = audit(lock, more)
    assert found.vulnerable == ("idna 3.6: PYSEC-0000-1, mended in no version yet",)
    answers.append({})
    assert audit(lock, more) == Finding(1, 0, ())


def test_nobody_there_is_no_vulnerability(lock, monkeypatch) -> None:
    """It is said that nothing was looked at; a file that is no lock file is an error."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    more = ("--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:1/")
    found = audit(lock, more)
    assert found.unreachable
    assert not found.vulnerable
    lock.write_text("idna==3.6\n== ==\n")
    with pytest.raises(ValueError, match="cannot read"):
        audit(lock, more)


def test_packages_that_the_index_does_not_know_are_no_clean_ones() -> None:
    """All unknown is nothing looked at; an accepted advisory, or its alias, is none."""
    skipped = {"name": "a", "skip_reason": "not found"}
    one = {"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"]}
    known = {"name": "b", "version": "1.0", "vulns": [one]}
    assert findings({"dependencies": [skipped]}).unreachable
    found = findings({"dependencies": [skipped, known]})
    assert found == Finding(1, 1, ("b 1.0: GHSA-1, mended in 2.0",))
    assert findings({"dependencies": [known]}, {"CVE-1": "why"}) == Finding(1, 0, ())
