"""The check digit of a barcode: the other digits → the intermediate results and the check digit."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sums:
    """The intermediate results of the calculation, and the check digit.

    odd, even: sums of the digits at odd and even places, counted from 1 at the left.
    tripled, added: last digits of the sum that counts three times, and of the other one.
    product: three times `tripled`.
    total: the last digit of `product`, plus `added`.
    missing: the last digit of `total`. The check digit completes it to 10 (or is 0).
    """

    odd: int
    even: int
    tripled: int
    added: int
    product: int
    total: int
    missing: int
    check_digit: int


def calculate(digits: str) -> Sums:
    """Return the results for a code without its check digit: 11 digits (UPC-A) or 12 (EAN-13).

    Every second digit counts three times, beginning with the one next to the check digit (ISO/IEC 15420). Counted from
    the left, these are the odd places of 11 digits and the even places of 12.
    """
    odd, even = sum(map(int, digits[0::2])), sum(map(int, digits[1::2]))
    tripled, added = (odd % 10, even % 10) if len(digits) % 2 else (even % 10, odd % 10)
    product = 3 * tripled
    total = product % 10 + added
    missing = total % 10
    return Sums(odd, even, tripled, added, product, total, missing, (10 - missing) % 10)
