"""test_kv_compare.py: compares of a Txn, rules T8 to T10.

Belongs here: what each target and result means, missing keys, ranges. Each test names its rule.
"""

import itertools
import operator

import pytest

from client import FROM_KEY, compare, prefix_end
from schema import pb

COMPARISONS = {"=": operator.eq, ">": operator.gt, "<": operator.lt, "!=": operator.ne}


def succeeded(client, *compares):
    return client.txn(list(compares)).succeeded


@pytest.mark.parametrize("target", ["version", "create_revision", "mod_revision", "lease"])
def test_T8_numbers_compare_as_stored_result_given(client, p, grant, target):
    client.put(p + b"k", b"1", lease=grant())
    client.put(p + b"k", b"2", ignore_lease=True)
    stored = getattr(client.get(p + b"k"), target)
    for given, (result, holds) in itertools.product(
            (stored - 1, stored, stored + 1, 0, -1), COMPARISONS.items()):
        outcome = succeeded(client, compare(p + b"k", target, result, given))
        assert outcome == holds(stored, given), (result, stored, given)


def test_T8_values_compare_by_bytes(client, p):
    stored = b"m\x80"
    client.put(p + b"k", stored)
    given_values = (b"", b"m", b"m\x7f", b"m\x80", b"m\x80\x00", b"m\x81", b"n", b"\xff")
    for given, (result, holds) in itertools.product(given_values, COMPARISONS.items()):
        outcome = succeeded(client, compare(p + b"k", "value", result, given))
        assert outcome == holds(stored, given), (result, stored, given)


@pytest.mark.parametrize("target", ["version", "create_revision", "mod_revision", "lease"])
def test_T8_numbers_of_a_missing_key_are_0(client, p, target):
    for given, (result, holds) in itertools.product((-1, 0, 1), COMPARISONS.items()):
        outcome = succeeded(client, compare(p + b"missing", target, result, given))
        assert outcome == holds(0, given), (result, given)


@pytest.mark.parametrize("result", list(COMPARISONS))
@pytest.mark.parametrize("given", [b"", b"x"])
def test_T8_value_compares_on_a_missing_key_are_false(client, p, result, given):
    assert not succeeded(client, compare(p + b"missing", "value", result, given))


def test_T8_a_deleted_key_is_missing(client, p):
    client.put(p + b"k", b"v")
    client.delete(p + b"k")
    assert succeeded(client, compare(p + b"k", "mod_revision", "=", 0))
    assert not succeeded(client, compare(p + b"k", "value", "!=", b"other"))


def test_T9_an_unset_union_is_0_or_empty(client, p):
    client.put(p + b"empty", b"")
    client.put(p + b"full", b"v")
    assert succeeded(client, pb.Compare(key=p + b"missing", target=0, result=0))
    assert not succeeded(client, pb.Compare(key=p + b"full", target=0, result=0))
    assert succeeded(client, pb.Compare(key=p + b"full", target=2, result=1))
    assert succeeded(client, pb.Compare(key=p + b"empty", target=3, result=0))
    assert not succeeded(client, pb.Compare(key=p + b"full", target=3, result=0))


def test_T9_the_union_of_another_target_is_0_or_empty(client, p):
    client.put(p + b"k", b"v")
    version_as_mod = pb.Compare(key=p + b"k", target=2, result=0, version=2**40)
    assert not succeeded(client, version_as_mod)
    version_as_mod.result = 1
    assert succeeded(client, version_as_mod)
    assert succeeded(client, pb.Compare(key=p + b"k", target=4, result=0, version=7))
    assert not succeeded(client, pb.Compare(key=p + b"k", target=3, result=0, version=1))
    assert succeeded(client, pb.Compare(key=p + b"k", target=3, result=1, version=1))


@pytest.mark.parametrize("result", [4, 99, -1])
def test_T9_an_unknown_result_is_true(client, p, result):
    client.put(p + b"k", b"v")
    assert succeeded(client, pb.Compare(key=p + b"k", target=0, result=result, version=77))
    assert succeeded(client, pb.Compare(key=p + b"k", target=3, result=result, value=b"other"))


@pytest.mark.parametrize("target", [5, 99, -1])
def test_T9_an_unknown_target_with_equal_is_true(client, p, target):
    client.put(p + b"k", b"v")
    assert succeeded(client, pb.Compare(key=p + b"k", target=target, result=0, version=77))


def test_T10_a_range_compare_holds_when_every_key_passes(client, p):
    for key in b"abc":
        client.put(p + bytes([key]), b"same")
    client.put(p + b"d", b"other")
    assert succeeded(client, compare(p + b"a", "value", "=", b"same", p + b"d"))
    assert not succeeded(client, compare(p + b"a", "value", "=", b"same", p + b"e"))
    assert succeeded(client, compare(p, "version", "=", 1, prefix_end(p)))
    client.put(p + b"b", b"same")
    assert not succeeded(client, compare(p, "version", "=", 1, prefix_end(p)))
    assert succeeded(client, compare(p, "version", "<", 3, prefix_end(p)))


def test_T10_an_empty_range_is_like_a_missing_key(client, p):
    end = prefix_end(p)
    for result, holds in COMPARISONS.items():
        assert succeeded(client, compare(p, "version", result, 0, end)) == holds(0, 0)
        assert succeeded(client, compare(p, "mod_revision", result, 1, end)) == holds(0, 1)
        assert not succeeded(client, compare(p, "value", result, b"", end))


def test_T10_from_key_on(empty):
    empty.put(b"a", b"1")
    empty.put(b"b", b"2")
    empty.put(b"c", b"2")
    assert succeeded(empty, compare(b"b", "value", "=", b"2", FROM_KEY))
    assert not succeeded(empty, compare(b"\x00", "value", "=", b"2", FROM_KEY))
    assert succeeded(empty, compare(b"d", "create_revision", "=", 0, FROM_KEY))


def test_T10_a_reversed_range_is_empty(client, p):
    client.put(p + b"a")
    assert succeeded(client, compare(p + b"a", "version", "=", 0, p + b"a"))
    assert succeeded(client, compare(p + b"b", "version", "=", 0, p + b"a"))
