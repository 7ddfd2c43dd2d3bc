"""Kubernetes quantities: exact decimal numbers written as strings (`"0.3"`, `300m`, `8Gi`), never floats."""

import math
import re
from decimal import ROUND_UP, Context, Decimal
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import core_schema

# apimachinery's resource.Quantity: sign, digits, then a binary or decimal suffix or an exponent.
PATTERN = r"^[+-]?([0-9]{1,18}(\.[0-9]{0,9})?|\.[0-9]{1,9})(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]{1,2}))?$"
_REGEX = re.compile(PATTERN)
# 27 digits times 1024^6 or 10^99 stay exact; the default context rounds to 28 digits.
_EXACT = Context(prec=200)
# Larger amounts are cut to about this by apimachinery (2^63 - 1), so they can't be told apart there.
_LARGEST = 9_223_372_036_854_775_000
_SUFFIXES = {
    "": Decimal(1),
    "n": Decimal("1e-9"),
    "u": Decimal("1e-6"),
    "m": Decimal("1e-3"),
    "k": Decimal(10**3),
    "M": Decimal(10**6),
    "G": Decimal(10**9),
    "T": Decimal(10**12),
    "P": Decimal(10**15),
    "E": Decimal(10**18),
    **{f"{p}i": Decimal(1024) ** (i + 1) for i, p in enumerate("KMGTPE")},
}


def parse_quantity(text: str | int) -> Decimal:
    """The exact value of a quantity such as `250m`, `1Gi` or `1e3`.

    Raises:
        ValueError: the text is not a quantity.
    """
    raw = str(text).strip()
    match = _REGEX.match(raw)
    if match is None:
        raise ValueError(f"{raw[:32]!r} is not a quantity; write a number such as 0.3, 300m or 8Gi")
    number, suffix = Decimal(match.group(1)), match.group(3) or ""
    if suffix[:1] in {"e", "E"} and len(suffix) > 1 and suffix != "Ei":
        value = number.scaleb(int(suffix[1:]), _EXACT)
    else:
        value = _EXACT.multiply(number, _SUFFIXES[suffix])
    return _EXACT.minus(value) if raw.startswith("-") else value


def format_cpu(cores: float) -> str:
    """CPU cores as a quantity in whole millicores, rounded up; `0` for nothing.

    Raises:
        ValueError: the value is NaN or infinite.
    """
    milli = math.ceil(round(_finite(cores) * 1000, 6))
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"


def format_memory(size: float) -> str:
    """Bytes as a quantity in whole MiB, rounded up (bytes below one MiB stay bytes).

    Raises:
        ValueError: the value is NaN or infinite.
    """
    mebi = 1 << 20
    if _finite(size) < mebi:
        return str(math.ceil(size))
    whole = math.ceil(round(size / mebi, 6))
    return f"{whole // 1024}Gi" if whole % 1024 == 0 else f"{whole}Mi"


def format_number(value: float, digits: int = 2) -> str:
    """A finite number with `digits` significant digits as a quantity: `0.31` → `310m`, 1234 → `1200`.

    What a quantity can't hold is cut to the nearest it can: about 2^63, and 1n for what is closer to zero.

    Raises:
        ValueError: the value is NaN or infinite; a quantity can't say that.
    """
    if _finite(value) == 0:
        return "0"
    if abs(value) >= _LARGEST:
        return f"{'-' if value < 0 else ''}{_LARGEST // 1000}k"
    exponent = math.floor(math.log10(abs(value))) - digits + 1
    rounded = Decimal(repr(value)).quantize(Decimal(1).scaleb(exponent))
    if rounded == rounded.to_integral_value():
        whole = int(rounded)
        return f"{whole // 1000}k" if abs(whole) >= 10**18 else str(whole)
    for suffix in ("m", "u", "n"):
        scaled = rounded / _SUFFIXES[suffix]
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int((rounded / _SUFFIXES['n']).to_integral_value(ROUND_UP))}n"


def format_plain(value: float, digits: int) -> str:
    """A finite number as a quantity without a suffix where that is short: `1.228154304`, not `1228154304n`.

    Raises:
        ValueError: the value is NaN or infinite; a quantity can't say that.
    """
    if not 1e-6 <= abs(_finite(value)) < 1e18:
        return format_number(value, digits)
    exponent = math.floor(math.log10(abs(value))) - digits + 1
    rounded = Decimal(repr(value)).quantize(max(Decimal(1).scaleb(exponent), Decimal("1e-9")))
    text = f"{rounded:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value} has no quantity; leave the field out and say why in a condition")
    return value


class Quantity:
    """A Kubernetes quantity: what the user wrote, and its exact value."""

    __slots__ = ("text", "value")

    def __init__(self, text: "str | int | Quantity") -> None:
        self.text: str = text.text if isinstance(text, Quantity) else str(text).strip()
        self.value: Decimal = parse_quantity(self.text)

    def __float__(self) -> float:
        return float(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Quantity) and self.value == other.value

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Quantity({self.text!r})"

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, _handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        def validate(value: object) -> Quantity:
            if isinstance(value, bool) or not isinstance(value, (str, int, Quantity)):
                raise ValueError("write a quantity: a whole number or a string such as 0.3, 300m or 8Gi")
            return Quantity(value)

        return core_schema.no_info_plain_validator_function(
            validate, serialization=core_schema.plain_serializer_function_ser_schema(str)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, _schema: core_schema.CoreSchema, _handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": PATTERN,
            "maxLength": 32,
            "x-kubernetes-int-or-string": True,
        }
