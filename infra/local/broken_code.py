"""Answers every request with the reason why the code cannot be imported; for development."""

import http.server
import json
import socket
import threading
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

_STATUS: Final = HTTPStatus.INTERNAL_SERVER_ERROR


def serve(listeners: Sequence[socket.socket], error: str) -> None:
    """Answer what connects to the sockets with 500 and the error, until the process ends."""
    problem = {"type": "about:blank", "title": _STATUS.phrase, "status": _STATUS.value, "detail": error, "error": error}
    body = json.dumps(problem).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65_537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            self.rfile.read(int(self.headers.get("content-length") or 0))
            self.send_response(_STATUS)
            self.send_header("content-type", "application/problem+json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """The error has been printed once."""

    threads = []
    for listener in listeners:
        server = http.server.ThreadingHTTPServer(("", 0), Handler, bind_and_activate=False)
        server.socket.close()
        server.socket = listener
        threads.append(threading.Thread(target=server.serve_forever))
        threads[-1].start()
    for thread in threads:
        thread.join()
