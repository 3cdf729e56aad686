"""Moto's server, DynamoDB's requests one at a time: a program, with the port as its argument.

DynamoDB's transactions are serializable. Moto looks at the conditions and writes without a lock:
of two writers at the same moment both won, once in two hundred.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple


class OneAtATime:
    """A WSGI application whose requests to DynamoDB wait for each other; SQS may poll long."""

    def __init__(self, app) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ, start_response):
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            return self._app(environ, start_response)
        with self._lock:
            return list(self._app(environ, start_response))


if __name__ == "__main__":
    moto = DomainDispatcherApplication(create_backend_app)
    run_simple("127.0.0.1", int(sys.argv[1]), OneAtATime(moto), threaded=True)
