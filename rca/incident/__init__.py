"""The incident folder: load, check and make it, and the shape of its files."""

from rca.incident.load import Incident, check, load, schema
from rca.incident.new import new

__all__ = ["Incident", "check", "load", "new", "schema"]
