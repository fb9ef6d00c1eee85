"""Suspicion of personal data, by a column's name and by what its values look like. A hint, never a proof."""

import re
from collections.abc import Sequence

NAMES = re.compile(
    r"(^|[_\W])(e_?mail|phone|mobile|telephone|ssn|social_security|passport|iban|credit_?card|card_number|"
    r"(first|last|full|middle|maiden)_?name|surname|birth_?(date|day)|date_of_birth|dob|street|postal_code|"
    r"zip_?code|home_address|ip_?address|national_id|tax_id|license_plate)s?($|[_\W\d])"
)
CONTENT = {
    "email addresses": re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}"),
    "social security numbers": re.compile(r"\d{3}-\d{2}-\d{4}"),
    "phone numbers": re.compile(r"(\+\d|\(\d{3}\)|0\d)[\d ()./-]{6,}\d"),
    "IBANs": re.compile(r"[A-Z]{2}\d{2}( ?[A-Z0-9]{4}){3,7}( ?[A-Z0-9]{1,3})?"),
    "IP addresses": re.compile(r"(\d{1,3}\.){3}\d{1,3}"),
    "card numbers": re.compile(r"(\d[ -]?){12,18}\d"),
}
SHARE = 0.2


def suspect(name: str, values: Sequence[object]) -> str:
    """Why a column looks like personal data, as in `looks like email addresses`; "" when it does not."""
    snake = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    if NAMES.search(snake):
        return "has the name of personal data"
    texts = [value for value in values if isinstance(value, str)]
    for what, pattern in CONTENT.items():
        hits = sum(1 for text in texts if pattern.fullmatch(text.strip()) and _is_real(what, text))
        if hits and hits >= SHARE * len(texts):
            return f"looks like {what}"
    return ""


def _is_real(what: str, text: str) -> bool:
    """Whether a number that looks like a card's has its check digit (ISO/IEC 7812)."""
    if what != "card numbers":
        return True
    digits = [int(letter) for letter in reversed(text) if letter.isdigit()]
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
