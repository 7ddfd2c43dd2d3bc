"""Tables as bytes and back: what comes back, what is left out, what is refused."""

import json
import math
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trimtab.decide.columns import B1, F8, I8, S, Table, column
from trimtab.decide.histogram import F4
from trimtab.decide.pack import MAX_BYTES, VERSION, Fault, PackError, pack, unpack, widest

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Learned(Table):
    """Every kind of column."""

    key: S = column(object, "")
    at: F8 = column("f8", NAN)
    count: I8 = column("i8", -1)
    small: I8 = column("i4", 0, width=3)
    done: B1 = column(bool, False)
    weights: F4 = column("f4", 0.0, width=40)
    growth: F4 = column("f4", NAN)


@dataclass(frozen=True, slots=True)
class Later(Table):
    """The same table in another version: a column more, one of another width, one of another kind, one gone."""

    key: S = column(object, "")
    at: F8 = column("f8", NAN)
    count: F8 = column("f8", -1.0)
    small: I8 = column("i4", 7, width=2)
    done: B1 = column(bool, False)
    more: F8 = column("f8", 5.0)


KINDS = {"learned": Learned}


def table(rows: int = 3) -> Learned:
    result = Learned.blank(rows)
    result.key[:] = [f"ns/w/c{i} ü" for i in range(rows)]
    result.at[:] = 1.8e9 + np.arange(rows) / 3
    result.small[:] = 2**20
    result.weights[:, ::7] = np.arange(1, rows + 1)[:, None] * 1000.5
    return result


def same(left: Table, right: Table, rtol: float = 0.0) -> None:
    for name, meta in left.columns():
        one, two = getattr(left, name), getattr(right, name)
        assert one.dtype == two.dtype, name
        if meta["dtype"] is object:
            assert one.tolist() == two.tolist()
        else:
            np.testing.assert_allclose(one, two, rtol=rtol, atol=0, err_msg=name)


def raw(header: Any, body: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return b"TT" + bytes([VERSION]) + zlib.compress(len(text).to_bytes(4, "little") + text + body)


def test_what_goes_in_comes_out_exactly_where_that_is_asked_for() -> None:
    before = table()
    after = unpack(pack({"learned": before}, {"reference": 1.5}, exact=True), KINDS)
    same(after.tables["learned"], before)
    assert after.head == {"reference": 1.5}
    assert after.ignored == ()


@settings(deadline=None, max_examples=60)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 4), st.just(40)),
        elements=st.floats(0, 2.0**90, width=32, allow_subnormal=False),
    )
)
def test_weights_keep_eleven_bits_of_their_row_s_largest(weights: Any) -> None:
    before = Learned.blank(len(weights))
    before.weights[:] = weights
    after: Any = unpack(pack({"learned": before}, {}), KINDS).tables["learned"]
    most = weights.max(axis=1, initial=0.0)[:, None]
    assert (np.abs(after.weights - weights) <= np.maximum(2.0**-11 * weights, 1e-7 * most)).all()
    assert ((after.weights > 0) | (weights < 1e-6 * most) | (weights == 0)).all()


def test_nan_in_weights_stays_nan_and_the_rest_of_the_row_its_size() -> None:
    before = Learned.blank(2)
    before.weights[0, :] = NAN
    before.weights[1, :3] = NAN, 4e9, -2e9
    after: Any = unpack(pack({"learned": before}, {}), KINDS).tables["learned"]
    assert np.isnan(after.weights[0]).all()
    assert np.isnan(after.weights[1, 0])
    np.testing.assert_allclose(after.weights[1, 1:3], (4e9, -2e9), rtol=1e-3)


def test_columns_that_hold_only_their_default_take_no_room() -> None:
    assert len(pack({"learned": Learned.blank(1000)}, {})) < 150
    same(unpack(pack({"learned": Learned.blank(1000)}, {}), KINDS).tables["learned"], Learned.blank(1000))


def test_the_same_tables_give_the_same_bytes() -> None:
    assert pack({"learned": table()}, {"a": 1}) == pack({"learned": table()}, {"a": 1})


def test_another_version_takes_the_columns_it_knows_and_names_the_others() -> None:
    found = unpack(pack({"learned": table()}, {}), {"learned": Later})
    after: Any = found.tables["learned"]
    assert after.key.tolist() == table().key.tolist()
    np.testing.assert_array_equal(after.at, table().at)
    assert after.more.tolist() == [5.0] * 3, "missing: its default"
    assert after.small.tolist() == [[7, 7]] * 3, "another width: its default"
    assert set(found.ignored) == {"learned.small", "learned.weights"}


def test_a_table_that_nobody_asked_for_is_left_out() -> None:
    found = unpack(pack({"other": table(), "learned": table(1)}, {}), KINDS)
    assert list(found.tables) == ["learned"]
    assert len(found.tables["learned"]) == 1


def test_a_column_can_be_left_out_and_the_widest_come_first() -> None:
    names = list(widest({"learned": table()}))
    assert names[0] == "learned.weights"
    assert "learned.key" not in names
    after: Any = unpack(pack({"learned": table()}, {}, without=frozenset(names[:1])), KINDS).tables["learned"]
    assert not after.weights.any()
    np.testing.assert_array_equal(after.at, table().at)


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_damaged_bytes_are_refused_and_never_raise_anything_else(data: st.DataObject) -> None:
    good = bytearray(pack({"learned": table()}, {"reference": 1.0}))
    for place in data.draw(st.lists(st.integers(0, len(good) - 1), min_size=1, max_size=4, unique=True)):
        good[place] ^= data.draw(st.integers(1, 255))
    end = data.draw(st.integers(0, len(good)))
    try:
        unpack(bytes(good[:end]), KINDS)
    except PackError:
        return
    raise AssertionError("damage was not noticed")


@given(st.binary(max_size=300))
def test_any_bytes_at_all_are_refused(data: bytes) -> None:
    with pytest.raises(PackError):
        unpack(data, KINDS)


@pytest.mark.parametrize(
    "header",
    [
        [],
        {},
        {"head": 1, "tables": {}},
        {"head": {}, "tables": []},
        {"head": {}, "tables": {"learned": {}}},
        {"head": {}, "tables": {"learned": {"rows": -1, "columns": []}}},
        {"head": {}, "tables": {"learned": {"rows": 10**12, "columns": []}}},
        {"head": {}, "tables": {"learned": {"rows": 1, "columns": [["at", "<f8", 0]]}}},
        {"head": {}, "tables": {"learned": {"rows": 1, "columns": [["at", "object", 0]]}}},
        {"head": {}, "tables": {"learned": {"rows": 1, "columns": [["at", "nonsense", 0]]}}},
        {"head": {}, "tables": {"learned": {"rows": 1, "columns": [["key", "text", 0]]}}},
        {"head": {}, "tables": {"learned": {"rows": 1, "columns": [["weights", "half", -3]]}}},
    ],
)
def test_a_header_that_makes_no_sense_is_corrupt(header: Any) -> None:
    with pytest.raises(PackError) as refused:
        unpack(raw(header), KINDS)
    assert refused.value.fault is Fault.CORRUPT


def test_bytes_behind_the_last_column_are_corrupt() -> None:
    with pytest.raises(PackError, match="too many"):
        unpack(raw({"head": {}, "tables": {}}, b"xyz"), KINDS)


def test_a_later_form_is_told_from_a_damaged_one() -> None:
    data = bytearray(pack({}, {}))
    data[2] = VERSION + 1
    with pytest.raises(PackError) as refused:
        unpack(bytes(data), KINDS)
    assert refused.value.fault is Fault.NEWER


def test_what_would_unpack_to_more_than_its_bound_is_refused_before_it_takes_memory() -> None:
    bomb = b"TT" + bytes([VERSION]) + zlib.compress(bytes(MAX_BYTES + 1))
    assert len(bomb) < 20_000
    with pytest.raises(PackError) as refused:
        unpack(bomb, KINDS)
    assert refused.value.fault is Fault.OVERSIZED
