"""Numbers as text for the pages: one minus sign, fixed decimals, no "-0.0"."""

from __future__ import annotations

import math

MINUS = "\N{MINUS SIGN}"


def number(value: float | None, decimals: int) -> str:
    """Fixed-point text with a true minus sign; "" for None."""
    if value is None:
        return ""
    if math.isinf(value):
        return "∞" if value > 0 else f"{MINUS}∞"
    text = f"{value:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def signed(value: float | None, decimals: int) -> str:
    """Like `number`, with a plus sign in front of positive values."""
    text = number(value, decimals)
    positive = value is not None and value > 0 and any(c in "123456789∞" for c in text)
    return f"+{text}" if positive else text


def p_value(p: float | None) -> str:
    """ ".012", "<.001" or ""; a p-value is never shown as 0."""
    if p is None:
        return ""
    if p < 0.001:
        return "<.001"
    return "1" if p >= 0.9995 else f"{p:.3f}".lstrip("0")


def interval(low: float, high: float, decimals: int) -> str:
    """ "[+0.1, +0.3]", or "unbounded" where the data cannot bound it."""
    if math.isinf(low) or math.isinf(high):
        return "unbounded"
    return f"[{signed(low, decimals)}, {signed(high, decimals)}]"


def scalar(value: object) -> str:
    """A config value or fact as text."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"{value:.6g}".replace("-", MINUS)
    return str(value)


def count(n: int, noun: str) -> str:
    """ "1 claim", "2 claims"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"
