"""The QR code of a link: a square of modules that a reader finds, and nothing for what is no link."""

import numpy as np
import pytest

from dashboard.widgets.qr_code import LONGEST_LINK, QRCode, rows_of

LINK = "https://lab.example.org/dashboard?follow=k7qm-3fxa"


def modules(text: str) -> np.ndarray:
    return np.array([[int(one) for one in row] for row in rows_of(text)])


@pytest.mark.parametrize("text", ["x", LINK, LINK + "&more=" + "ä" * 400])
def test_a_code_is_a_square_with_a_finder_in_three_corners(text):
    code = modules(text)
    side = len(code)
    assert code.shape == (side, side)
    assert (side - 17) % 4 == 0
    finder = np.zeros((7, 7), int)
    finder[[0, 6]] = finder[:, [0, 6]] = finder[2:5, 2:5] = 1
    for corner in (code[:7, :7], code[:7, -7:], code[-7:, :7]):
        np.testing.assert_array_equal(corner, finder)
    assert not np.array_equal(code[-7:, -7:], finder)


def test_codes_of_two_links_differ_and_a_short_one_has_large_modules():
    assert rows_of(LINK) == rows_of(LINK)
    assert rows_of(LINK) != rows_of(LINK[:-1] + "b")
    assert len(rows_of(LINK)) <= 37


def test_only_what_can_be_read_is_drawn():
    code = QRCode()
    code.show(LINK)
    assert (code.link, code.rows) == (LINK, rows_of(LINK))
    code.show(LINK + "x" * LONGEST_LINK)
    assert code.rows == []
    code.show("")
    assert (code.link, code.rows) == ("", [])
