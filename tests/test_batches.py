"""Plain files to batches of records."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings, strategies as st

from rca.errors import UnsafeInput
from rca.incident.model import Source
from rca.sources import batches, stored

SOURCE = Source(id="a", file="a.jsonl", reader="jsonl")
RECORDS = st.dictionaries(st.text(max_size=5), st.text(max_size=30) | st.integers() | st.none(), max_size=4)


@pytest.fixture(scope="module")
def duck():
    with stored.connection() as found:
        yield found


def read(path, duck):
    """Return (position, text) of each record of a file of JSON lines."""
    return [
        (int(position), text)
        for batch in batches.read_jsonl(path, SOURCE, duck)
        for position, text in zip(batch.positions, batch.texts.to_pylist(), strict=True)
        if text
    ]


@settings(deadline=None, max_examples=20)
@given(
    records=st.lists(st.none() | RECORDS, max_size=6), end=st.sampled_from(["\n", "\r\n", " \n"]), closed=st.booleans()
)
@pytest.mark.parametrize("block", [1, 64, batches.BLOCK])
def test_lines_are_found_wherever_a_block_of_the_file_ends(records, end, closed, block, duck, tmp_path_factory):
    lines = ["" if record is None else json.dumps(record, ensure_ascii=False) for record in records]
    path = tmp_path_factory.mktemp("lines") / "a.jsonl"
    path.write_bytes((end.join(lines) + (end if closed else "")).encode("utf-8", "replace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(batches, "BLOCK", block)
        found = read(path, duck)
    with path.open(encoding="utf-8", newline="\n") as handle:
        wanted = [(number, json.loads(line)) for number, line in enumerate(handle, start=1) if line.strip()]
    assert [(number, json.loads(text)) for number, text in found] == wanted


def test_a_byte_order_mark_is_no_part_of_the_first_line(duck, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\n{"a": 2}')
    assert read(path, duck) == [(1, '{"a": 1}'), (2, '{"a": 2}')]


def test_bytes_that_are_no_text_are_rejected_with_their_line_and_the_others_kept(duck, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'{"a": 1}\n{"a": "\xc3\n{"a": "\xc3\xa9"}\n')
    (batch,) = batches.read_jsonl(path, SOURCE, duck)
    assert batch.texts.to_pylist() == ['{"a": 1}', "", '{"a": "é"}']
    assert [(reject.position, reject.reason) for reject in batch.rejects] == [
        (2, "not UTF-8 text (byte 7 of the line)")
    ]


def test_a_line_without_end_is_refused_with_its_reason(duck, tmp_path, monkeypatch):
    monkeypatch.setattr(batches, "MAX_LINE", 100)
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": "' + "x" * 200)
    with pytest.raises(UnsafeInput, match=r"a\.jsonl: a line of more than 100 bytes"):
        read(path, duck)
