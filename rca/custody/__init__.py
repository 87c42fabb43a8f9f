"""Chain of custody: who added, derived or exported what, in a log that shows its own damage; sealed archives.

``custody.jsonl`` in the incident folder has one line for each act, and each line holds the hash of the one
before. So an edited, removed, inserted or reordered line is found, and so is a file that is not as it was
when it was added.

Every annotation is in the chain too: the log holds the SHA-256 of its line, so an annotation that was
changed, removed or slipped in is named. Those from before the log held any are said to be not chained.

What a chain of hashes cannot show: whoever can write the log can write all of it anew, or cut off its end,
together with the files and annotations that the end tells of. Note the `head` elsewhere (in a ticket, in a
mail, on paper; ``rca verify`` prints it) and give it to `verify`; the SHA-256 of a sealed archive, noted by the
one who received it, holds the head as well. Nor does it show when something happened, but that entries stand in
this order; and the actor is what the caller said, not a signature.
"""

from rca.custody.annotation import FILE as ANNOTATIONS, number_of
from rca.custody.log import ACTIONS, LOG, annotate, append, entries, head, read, record
from rca.custody.restore import restore
from rca.custody.seal import check_seal, seal
from rca.custody.verifying import changed_annotations, remarks, verify, verify_all

__all__ = [
    "ACTIONS", "ANNOTATIONS", "LOG", "annotate", "append", "changed_annotations", "check_seal", "entries", "head",
    "number_of", "read", "record", "remarks", "restore", "seal", "verify", "verify_all",
]  # fmt: skip
