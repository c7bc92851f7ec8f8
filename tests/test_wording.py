"""Words that terminal, report and record share."""

from __future__ import annotations

from tenfold.wording import settings_text


def test_different_numbers_have_different_texts():
    values = [1e-3, 0.0010000001, 1234567, 1234568, 0.1, 0.1 + 0.2, 0.3, 3, 10**20, float("inf")]
    assert len({settings_text({"lr": value}) for value in values}) == len(values)


def test_no_settings_are_no_text():
    assert settings_text({}) == settings_text(()) == ""
