"""Errors of what people write: queries and presets."""


class PromQLError(ValueError):
    """A query that can't be used; the message says what is wrong and what to do, in one sentence."""


class PromQLSyntaxError(PromQLError):
    """Text that is no PromQL at all."""


class PresetError(ValueError):
    """A preset that can't be used; the message names the file, the field and the remedy."""
