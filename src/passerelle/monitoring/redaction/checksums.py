"""The checksums that tell a bank account, a card and a social security number from any other number."""

from __future__ import annotations

from typing import Final

#: Length of the IBAN of each country: https://www.swift.com/standards/data-standards/iban-international-bank-account-number
IBAN_LENGTHS: Final = {
    "ad": 24, "ae": 23, "al": 28, "at": 20, "az": 28, "ba": 20, "be": 16, "bg": 22, "bh": 22, "br": 29, "by": 28, "ch": 21, "cr": 22,
    "cy": 28, "cz": 24, "de": 22, "dk": 18, "do": 28, "ee": 20, "eg": 29, "es": 24, "fi": 18, "fo": 18, "fr": 27, "gb": 22, "ge": 22,
    "gi": 23, "gl": 18, "gr": 27, "gt": 28, "hr": 21, "hu": 28, "ie": 22, "il": 23, "is": 26, "it": 27, "jo": 30, "kw": 30, "kz": 20,
    "lb": 28, "li": 21, "lt": 20, "lu": 20, "lv": 21, "mc": 27, "md": 24, "me": 22, "mk": 19, "mr": 27, "mt": 31, "mu": 30, "nl": 18,
    "no": 15, "pk": 24, "pl": 28, "ps": 29, "pt": 25, "qa": 29, "ro": 24, "rs": 22, "sa": 24, "se": 24, "si": 19, "sk": 24, "sm": 27,
    "tn": 24, "tr": 26, "ua": 29, "va": 22, "xk": 20,
}  # fmt: skip
_CARD_LENGTHS: Final = {"2": (16,), "3": (15, 16), "4": (13, 16, 19), "5": (16,), "6": (16, 17, 18, 19)}
_CORSICA: Final = (("2a", "19"), ("2b", "18"))
_MONTHS: Final = {*range(1, 13), 20, *range(30, 43), *range(50, 100)}


def is_iban(account: str) -> bool:
    """Return whether the last two digits of ISO 7064 (MOD 97-10) are right; small letters and digits without separators."""
    return int("".join(str(int(character, 36)) for character in account[4:] + account[:4])) % 97 == 1


def is_card(digits: str) -> bool:
    """Return whether the digits have the length of a payment card of their kind and end in the check digit of Luhn (ISO/IEC 7812-1)."""
    if len(digits) not in _CARD_LENGTHS.get(digits[0], ()):
        return False
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_nir(number: str, key: str) -> bool:
    """Return whether the key belongs to the 13 characters of a French social security number, Corsica's 2A and 2B among them."""
    for letters, department in _CORSICA:
        number = number.replace(letters, department)
    return int(key) == 97 - int(number) % 97


def can_be_nir(number: str) -> bool:
    """Return whether 13 characters can be a social security number without its key: sex, month and department."""
    department = number[5:7]
    return number[0] in "12" and int(number[3:5]) in _MONTHS and (department in {"2a", "2b"} or int(department) > 0)
