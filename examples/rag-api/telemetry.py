"""Metrics, under the OpenTelemetry semantic conventions' names as Prometheus renders them.

Dots become underscores, the unit becomes a suffix, and units in braces are dropped:
http.server.request.duration in seconds is `http_server_request_duration_seconds`. What the conventions have
no name for starts with `rag_`. Sources: opentelemetry.io/docs/specs/semconv/http/http-metrics and
.../gen-ai/gen-ai-metrics.
"""

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

PROVIDER = "rag_api"
REQUEST_MODEL = "rag-decoder"
RETRIEVAL = "retrieval"
GENERATION = "chat"
QUERY_ROUTE = "/query"

DURATION_BUCKETS = tuple(round(0.005 * 2000 ** (step / 48), 4) for step in range(49))
"""5 ms to 10 s in 48 equal ratios of 1.17, so that a quantile read between two bounds moves smoothly."""

TOKEN_BUCKETS = (1, 4, 16, 64, 256, 1024, 4096)
BATCH_BUCKETS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 128, 256)


class Telemetry:
    """All the metrics of one process, in a registry of their own."""

    def __init__(self) -> None:
        """Register everything, the series of a first query included, so that a rate exists before it."""
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Histogram(
            "http_server_request_duration_seconds",
            "Duration of HTTP server requests.",
            ["http_request_method", "http_route", "http_response_status_code", "url_scheme"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._active = Gauge(
            "http_server_active_requests",
            "Number of active HTTP server requests.",
            ["http_request_method", "url_scheme"],
            registry=self.registry,
        )
        operation = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"]
        self._operations = Histogram(
            "gen_ai_client_operation_duration_seconds",
            "GenAI operation duration, waiting included.",
            operation,
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._tokens = Histogram(
            "gen_ai_client_token_usage",
            "Number of input and output tokens used.",
            [*operation, "gen_ai_token_type"],
            buckets=TOKEN_BUCKETS,
            registry=self.registry,
        )
        self.queue_depth = Gauge("rag_queue_depth", "Requests that wait, by stage.", ["stage"], registry=self.registry)
        self._queue_wait = Histogram(
            "rag_queue_wait_seconds",
            "Time a request waited, by stage.",
            ["stage"],
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self._batches = Histogram(
            "rag_batch_size",
            "Requests in each batch that ran.",
            buckets=BATCH_BUCKETS,
            registry=self.registry,
        )
        self._lookups = Counter(
            "rag_cache_lookups", "Context cache look-ups by result.", ["result"], registry=self.registry
        )
        self.cache_bytes = Gauge("rag_cache_bytes", "Bytes that the context cache holds.", registry=self.registry)
        self._knobs = Gauge(
            "rag_setting", "Settings in force, by environment variable.", ["name"], registry=self.registry
        )

        for method in ("GET", "POST"):
            self._active.labels(method, "http")
            self._requests.labels(method, QUERY_ROUTE, "200", "http")
        for stage in (RETRIEVAL, GENERATION):
            self._operations.labels(stage, PROVIDER, REQUEST_MODEL)
        for result in ("hit", "miss"):
            self._lookups.labels(result)

    def setting(self, name: str, value: int) -> None:
        """Tell a setting that is in force."""
        self._knobs.labels(name).set(value)

    def request_started(self, method: str) -> None:
        """Count a request in."""
        self._active.labels(method, "http").inc()

    def request_ended(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request out, with its status and duration."""
        self._active.labels(method, "http").dec()
        self._requests.labels(method, route, str(status), "http").observe(seconds)

    def operation_ended(self, operation: str, seconds: float) -> None:
        """Record the duration of a stage as its caller saw it."""
        self._operations.labels(operation, PROVIDER, REQUEST_MODEL).observe(seconds)

    def tokens_used(self, read: int, written: int) -> None:
        """Record the tokens of one answer."""
        for kind, count in (("input", read), ("output", written)):
            self._tokens.labels(GENERATION, PROVIDER, REQUEST_MODEL, kind).observe(count)

    def waited(self, stage: str, seconds: float) -> None:
        """Record the time that a request waited before a stage."""
        self._queue_wait.labels(stage).observe(seconds)

    def batch_ran(self, waits: list[float]) -> None:
        """Record a batch: its size, and the time that each request waited for it."""
        self._batches.observe(len(waits))
        for seconds in waits:
            self.waited(GENERATION, seconds)

    def cache_used(self, hit: bool, held_bytes: int) -> None:
        """Record a look-up and what the cache holds after it."""
        self._lookups.labels("hit" if hit else "miss").inc()
        self.cache_bytes.set(held_bytes)

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)
