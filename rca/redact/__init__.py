"""Redaction: personal data and secrets become stable pseudonyms in tables and reports, never in the originals.

Names and e-mail addresses are found by `rca.language.Pseudonyms`; phone numbers, IP addresses, postal
addresses, cards, bank accounts and secrets by their patterns. Pseudonyms are made with a key of the incident:
the same person has the same one everywhere in it, and who lacks the key cannot find out by guessing names.
"""

from rca.redact.patterns import CATEGORIES
from rca.redact.redactor import Redactor, key, table, text
from rca.redact.reports import folder

__all__ = ["CATEGORIES", "Redactor", "folder", "key", "table", "text"]
