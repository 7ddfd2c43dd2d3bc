"""Quantities: exact, and the same ones that Kubernetes takes."""

import math
from collections.abc import Callable
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from trimtab.api.quantity import Quantity, format_cpu, format_memory, format_number, format_plain, parse_quantity

FINITE = st.floats(allow_nan=False, allow_infinity=False)
ADAPTER = TypeAdapter(Quantity)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", "0"),
        ("0.3", "0.3"),
        ("300m", "0.3"),
        (".5", "0.5"),
        ("5.", "5"),
        ("1e3", "1000"),
        ("1E-3", "0.001"),
        ("-1.5e-3", "-0.0015"),
        ("+2k", "2000"),
        ("1n", "1e-9"),
        ("1Ki", "1024"),
        ("8Gi", "8589934592"),
        ("1E", "1000000000000000000"),
        ("1Ei", "1152921504606846976"),
        ("999999999999999999.999999999Ei", "1152921504606846975999999998847078495.393153024"),
    ],
)
def test_a_quantity_has_its_exact_value(text: str, value: str) -> None:
    assert parse_quantity(text) == Decimal(value)


@pytest.mark.parametrize(
    "text", ["", "NaN", "inf", "1 Gi", "1GB", "0x10", "1,5", "--1", "1e", "1e999", "٣", "1_000", "m"]
)
def test_what_is_no_quantity_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a quantity; write a number such as 0\.3, 300m or 8Gi"):
        parse_quantity(text)


@given(st.decimals(min_value=-(10**17), max_value=10**17, places=9))
def test_a_decimal_comes_back_exactly(number: Decimal) -> None:
    assert parse_quantity(f"{number:f}") == number


@given(st.text(max_size=40))
def test_any_text_is_a_quantity_or_a_value_error(text: str) -> None:
    try:
        value = parse_quantity(text)
    except ValueError:
        return
    assert value.is_finite()


@given(FINITE)
def test_a_number_keeps_two_significant_digits(number: float) -> None:
    text = format_number(number)

    value = float(ADAPTER.validate_python(text))
    assert len(text) <= 32
    if 1e-7 < abs(number) < 9e18:
        assert math.isclose(value, number, rel_tol=0.05)
    else:
        assert abs(value) <= 9.3e18


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (1.228154304, "1.228154304"),
        (-0.25, "-0.25"),
        (134217728.0, "134217728"),
        (0.0, "0"),
        (3e-7, "300n"),
        (2e19, "9223372036854775k"),
    ],
)
def test_an_input_of_a_decision_is_written_as_people_write_numbers(number: float, text: str) -> None:
    assert format_plain(number, 15) == text


@given(FINITE)
def test_a_plain_number_is_as_exact_as_a_quantity_can_be(number: float) -> None:
    value = float(ADAPTER.validate_python(format_plain(number, 15)))
    if 1e-7 < abs(number) < 9e18:
        assert math.isclose(value, number, rel_tol=1e-13, abs_tol=1e-9)


@given(FINITE)
def test_writing_a_written_number_changes_nothing(number: float) -> None:
    once = format_number(number)

    again = format_number(float(parse_quantity(once)))
    assert once == again or abs(number) > 9e18 or abs(number) < 1e-7


@given(st.floats(min_value=0, max_value=1e6))
def test_cpu_is_rounded_up_to_a_millicore(cores: float) -> None:
    value = float(parse_quantity(format_cpu(cores)))

    assert cores - 1e-9 <= value < cores + 0.001 + 1e-9


@given(st.floats(min_value=0, max_value=2**50))
def test_memory_is_rounded_up_to_a_mebibyte(size: float) -> None:
    value = float(parse_quantity(format_memory(size)))

    assert size - 1 <= value <= size + (1 << 20)


@pytest.mark.parametrize("format_it", [format_cpu, format_memory, format_number])
@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_never_written(format_it: Callable[[float], str], number: float) -> None:
    with pytest.raises(ValueError, match="leave the field out and say why in a condition"):
        format_it(number)


def test_quantities_of_one_value_are_equal_and_keep_their_text() -> None:
    assert Quantity("300m") == Quantity("0.3")
    assert hash(Quantity("1Ki")) == hash(Quantity(1024))
    assert Quantity("1") != "1"
    assert str(Quantity("300m")) == "300m"
    assert Quantity(Quantity("300m")).text == "300m"
    assert repr(Quantity("300m")) == "Quantity('300m')"
    assert ADAPTER.dump_python(Quantity("300m"), mode="json") == "300m"


@pytest.mark.parametrize("value", [True, 0.3, None, [], {}, b"1"])
def test_only_whole_numbers_and_text_are_quantities(value: object) -> None:
    with pytest.raises(ValidationError, match="write a quantity: a whole number or a string"):
        ADAPTER.validate_python(value)
