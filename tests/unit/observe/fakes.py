"""Stand-ins for a Prometheus: one in memory, one over HTTP on loopback."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from trimtab.observe.source import Sample, Series, SourceError


class FakeSource:
    """Answers by text: a list of samples, a number for one sample without labels, or an error to raise."""

    name = "fake"
    scrape_interval_seconds = 15.0

    def __init__(self, answer: Callable[[str], list[Sample] | SourceError]) -> None:
        self._answer = answer
        self.asked: list[str] = []

    async def query(self, promql: str, at: float) -> list[Sample]:
        self.asked.append(promql)
        result = self._answer(promql)
        if isinstance(result, SourceError):
            raise result
        return result

    async def query_range(self, promql: str, start: float, end: float, step: float) -> list[Series]:
        raise AssertionError(f"no range query was expected: {promql}")


class Exchange:
    """One request, as a handler of the HTTP stand-in sees it."""

    def __init__(self, handler: BaseHTTPRequestHandler) -> None:
        self.handler = handler
        self.path = handler.path
        self.headers = handler.headers
        length = int(handler.headers.get("Content-Length", "0"))
        self.form = {key: values[0] for key, values in parse_qs(handler.rfile.read(length).decode()).items()}

    def send(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.handler.send_response(status)
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.send_header("Content-Length", str(len(body)))
        self.handler.end_headers()
        self.handler.wfile.write(body)


@contextmanager
def http_server(answer: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on loopback; ``answer`` runs in a thread per connection. Gives the base URL."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def handle_request(self) -> None:
            try:
                answer(Exchange(self))
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        do_GET = do_POST = handle_request  # noqa: N815  (http.server calls them so)

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        # The handshake belongs to the connection's own thread, where its failure harms no other.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
