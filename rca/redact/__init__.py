"""Redaction: personal data and secrets become stable pseudonyms in tables and reports, never in the originals.

Names and e-mail addresses are found by `People`, those of an incident with `known`; phone numbers, IP addresses, postal
addresses, cards, bank accounts and secrets by their patterns. Pseudonyms are made with a key of the incident:
the same person has the same one everywhere in it, and who lacks the key cannot find out by guessing names. Where a
copy goes beside the report, people may have the report's own codes instead (``keyed=False``).
"""

from rca.redact.patterns import CATEGORIES
from rca.redact.people import NOT_FOUND, Known, People, known
from rca.redact.redactor import Redactor, key, table, text
from rca.redact.reports import LEFT_OUT, NOT_READ, folder

__all__ = [
    "CATEGORIES",
    "LEFT_OUT",
    "NOT_FOUND",
    "NOT_READ",
    "Known",
    "People",
    "Redactor",
    "folder",
    "key",
    "known",
    "table",
    "text",
]
