"""The service's settings, read from the environment once at start."""

from collections.abc import Mapping
from dataclasses import dataclass


class SettingsError(ValueError):
    """A setting that can't be used: the message says which, what is allowed, and what was found."""


@dataclass(frozen=True)
class ModelSize:
    """Shape of the generator: its cost per batch, and so the best batch size, follows from these."""

    width: int = 512
    layers: int = 2
    heads: int = 16
    vocabulary: int = 1024
    context_tokens: int = 448
    output_tokens: int = 8


@dataclass(frozen=True)
class Settings:
    """Everything the process reads from its environment. The first three are the knobs to tune."""

    batch_size: int
    concurrency: int
    cache_mib: int
    port: int
    host: str
    corpus_documents: int
    batch_wait_ms: int
    drain_seconds: int
    model: ModelSize


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read and check every setting.

    Raises SettingsError on a value that is not an integer, or is outside its range.
    """

    def integer(name: str, default: int, low: int, high: int) -> int:
        text = environment.get(name, str(default))
        allowed = f"set {name} to a whole number from {low} to {high}"
        try:
            value = int(text, 10)
        except ValueError as error:
            raise SettingsError(f"{name}={text!r} is not a whole number: {allowed}.") from error
        if not low <= value <= high:
            raise SettingsError(f"{name}={value} is out of range: {allowed}.")
        return value

    default = ModelSize()
    model = ModelSize(
        width=integer("MODEL_WIDTH", default.width, 16, 4096),
        layers=integer("MODEL_LAYERS", default.layers, 1, 32),
        heads=integer("MODEL_HEADS", default.heads, 1, 64),
        context_tokens=integer("CONTEXT_TOKENS", default.context_tokens, 4, 8192),
        output_tokens=integer("OUTPUT_TOKENS", default.output_tokens, 1, 512),
    )
    if model.width % model.heads:
        raise SettingsError(
            f"MODEL_WIDTH={model.width} is not a multiple of MODEL_HEADS={model.heads}: change one of them."
        )
    return Settings(
        batch_size=integer("BATCH_SIZE", 8, 1, 256),
        concurrency=integer("CONCURRENCY", 64, 1, 1024),
        cache_mib=integer("CACHE_MB", 16, 0, 4096),
        port=integer("PORT", 8080, 0, 65535),
        host=environment.get("HOST", "0.0.0.0"),
        corpus_documents=integer("CORPUS_DOCUMENTS", 20_000, 100, 1_000_000),
        batch_wait_ms=integer("BATCH_WAIT_MS", 10, 0, 1000),
        drain_seconds=integer("DRAIN_SECONDS", 5, 0, 300),
        model=model,
    )
