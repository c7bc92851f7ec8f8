"""Words that terminal, report and record share."""

from __future__ import annotations

import pytest

from tenfold.wording import number, settings_text, significant


def test_different_numbers_have_different_texts():
    values = [1e-3, 0.0010000001, 1234567, 1234568, 0.1, 0.1 + 0.2, 0.3, 3, 10**20, float("inf")]
    assert len({settings_text({"lr": value}) for value in values}) == len(values)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1 - 0.996, "0.004"), (2000.4, "2000"), (-12345.6, "-12346"), (0.0001234, "0.000123"), (0.0, "0"), (1e9, "1e+09")],
)
def test_a_number_has_no_more_digits_than_it_is_worth_and_no_exponent_without_need(value, text):
    assert significant(value) == number(value, "") == text


def test_no_settings_are_no_text():
    assert settings_text({}) == settings_text(()) == ""
