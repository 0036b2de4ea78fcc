"""A job server that answers as Ray's does, for what a real one cannot be brought to say.

The answers have the fields that Ray 2.60 sends; that jobs are taken, run and stopped is shown with
a real head, in tests/end_to_end/test_cluster_walk.py.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, final

TOKEN = "a-token-of-this-test"


def described(key: str, run: str, status: str = "SUCCEEDED", **fields: Any) -> dict[str, Any]:
    """Return a job as the server lists it."""
    return {
        "type": "SUBMISSION",
        "submission_id": key,
        "status": status,
        "message": "said",
        "metadata": {"nas_version": "1", "nas_run": run, "nas_verb": "search", "nas_runs": ""},
        "start_time": 1795285684015,
        "end_time": None,
        "driver_exit_code": None,
        "driver_node_id": "n0de",
        "entrypoint": "x",
        "runtime_env": {},
        **fields,
    }


@final
class Answers:
    """What a server says, and what it was asked.

    Args:
        jobs: As `described`.
        version: Of Ray.
    """

    def __init__(self, jobs: list[dict[str, Any]], version: str = "2.60.0") -> None:
        self.jobs = jobs
        self.asked: list[tuple[str, str]] = []
        self.documents: dict[str, tuple[int, Any]] = {
            "/api/version": (200, {"ray_version": version}),
            "/api/jobs/": (200, jobs),
        }
        for job in jobs:
            key = job["submission_id"]
            self.documents[f"/api/jobs/{key}"] = (200, job)
            self.documents[f"/api/jobs/{key}/stop"] = (200, {"stopped": True})
            self.documents[f"/api/jobs/{key}/logs"] = (200, {"logs": "one\x1b[2J\ntwo\n"})


@contextmanager
def serving(answers: Answers) -> Iterator[str]:
    """Serve for the length of a block; yield the address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answers.asked.append((self.command, self.path))
            status, document = answers.documents.get(self.path, (404, {}))
            if self.headers.get("Authorization") != f"Bearer {TOKEN}":
                status, document = 401, {}
            body = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 - http.server's name

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
