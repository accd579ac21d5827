"""The check digit of a barcode: the other digits → the figures on the way to it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sums:
    """The figures on the way to the check digit. `tripled` and `added` are last digits of the two sums."""

    odd: int
    even: int
    tripled: int
    added: int
    product: int
    total: int
    missing: int
    check_digit: int


def calculate(digits: str) -> Sums:
    """Return the figures for a code without its check digit: 11 digits (UPC-A) or 12 (EAN-13).

    Counted from the left, the odd digits of 11 weigh three times, the even digits of 12: in both codes
    it is every second digit before the check digit, beginning with its neighbour (ISO/IEC 15420).
    """
    odd, even = sum(map(int, digits[0::2])), sum(map(int, digits[1::2]))
    tripled, added = (odd % 10, even % 10) if len(digits) % 2 else (even % 10, odd % 10)
    product = 3 * tripled
    total = product % 10 + added
    missing = total % 10
    return Sums(odd, even, tripled, added, product, total, missing, (10 - missing) % 10)
