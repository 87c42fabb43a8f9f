"""Chain of custody: who added, derived or exported what, in a log that shows its own damage; sealed archives.

``custody.jsonl`` in the incident folder has one line for each act, and each line holds the hash of the one
before. So an edited, removed, inserted or reordered line is found, and so is a file that is not as it was
when it was added.

What a chain of hashes cannot show: whoever can write the log can write all of it anew, or cut off its end.
Note the `head` elsewhere (in a ticket, in a mail, on paper) and give it to `verify`; the SHA-256 of a sealed
archive, noted by the one who received it, holds the head as well. The actor is what the caller said, not a
signature.
"""

from rca.custody.log import ACTIONS, LOG, append, entries, head, record, verify, verify_all
from rca.custody.seal import check_seal, seal

__all__ = ["ACTIONS", "LOG", "append", "check_seal", "entries", "head", "record", "seal", "verify", "verify_all"]
