"""Hashes, paths that stay in their folder, and writing that is whole or not at all."""

import hashlib
import json
import os
import signal
import stat
import subprocess
import sys
import time

import pytest
from hypothesis import given, strategies as st

from rca import files
from rca.errors import InputError, MissingFile, UnsafeInput


def test_the_hash_is_the_published_one_of_the_message_abc(tmp_path):
    (tmp_path / "abc").write_bytes(b"abc")  # FIPS 180-2, appendix B.1
    assert files.sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_hash_of_a_file_larger_than_one_piece_is_that_of_its_bytes(tmp_path):
    content = bytes(range(256)) * 10_000
    (tmp_path / "large").write_bytes(content)
    assert files.sha256(tmp_path / "large") == hashlib.sha256(content).hexdigest()


def test_hashing_what_is_not_there_or_no_file_is_an_input_error(tmp_path):
    with pytest.raises(MissingFile, match="no such file"):
        files.sha256(tmp_path / "gone")
    with pytest.raises(InputError, match="cannot be read"):
        files.sha256(tmp_path)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "sources/../../secret", "a/../../b", "..\\secret", ".."])
def test_a_path_that_leaves_the_folder_is_refused(tmp_path, name):
    with pytest.raises(UnsafeInput, match="leaves the incident folder"):
        files.inside(tmp_path, name)


@pytest.mark.parametrize("name", ["", "a\x00b", "a\nb", "\x1b[2J", "a\udcffb"])
def test_an_empty_name_or_one_with_control_characters_is_refused_and_not_echoed(tmp_path, name):
    with pytest.raises(InputError) as caught:
        files.inside(tmp_path, name)
    assert str(caught.value).isprintable()


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_followed(tmp_path):
    folder = tmp_path / "incident"
    (folder / "sources").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    (folder / "own").write_text("x")
    (folder / "out").symlink_to(tmp_path / "secret")
    (folder / "in").symlink_to(folder / "own")
    (folder / "up").symlink_to(tmp_path)
    for name in ("out", "up/secret", "up/incident/../secret"):
        with pytest.raises(UnsafeInput, match="leaves"):
            files.inside(folder, name)
    assert files.inside(folder, "in") == folder / "in"
    assert files.inside(folder, "up/incident/own").exists()


def test_links_in_a_circle_and_endless_names_are_refused(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    for name in ("a/x", "x" * 5000):
        with pytest.raises(UnsafeInput, match="cannot be followed") as caught:
            files.inside(tmp_path, name)
        assert len(str(caught.value)) < 200


@given(st.lists(st.sampled_from(["..", ".", "a", "b", "/", "é"]), min_size=1, max_size=6))
def test_whatever_is_accepted_lies_below_the_folder(parts):
    name = "/".join(parts)
    try:
        path = files.inside("top/incident", name)
    except InputError:
        assert os.path.relpath(f"top/incident/{name}", "top/incident").startswith("..") or name.startswith("/")
    else:
        assert not os.path.relpath(os.path.normpath(path), "top/incident").startswith("..")


def test_reading_says_what_is_missing_no_file_or_too_large(tmp_path):
    (tmp_path / "large").write_bytes(b"12345")
    with pytest.raises(MissingFile, match=r"gone: no such file"):
        files.read_bytes(tmp_path / "gone")
    with pytest.raises(UnsafeInput, match="not a plain file"):
        files.read_bytes(tmp_path)
    with pytest.raises(UnsafeInput, match="5 bytes, more than the limit of 4"):
        files.read_bytes(tmp_path / "large", limit=4)
    assert files.read_bytes(tmp_path / "large", limit=5) == b"12345"


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UnsafeInput, match="not a plain file"):
        files.read_bytes(tmp_path / "pipe")


def test_a_file_without_permission_is_an_input_error(tmp_path, monkeypatch):
    (tmp_path / "mine").write_text("x")

    def refuse(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr("pathlib.Path.read_bytes", refuse)  # root may read everything
    with pytest.raises(InputError, match="mine: cannot be read"):
        files.read_bytes(tmp_path / "mine")


def test_text_is_written_as_utf_8_in_new_folders_and_nothing_else_is_left(tmp_path):
    path = files.write(tmp_path / "new" / "folder" / "a.txt", "é\r\n\n")
    assert path.read_bytes() == "é\r\n\n".encode()
    assert [item.name for item in path.parent.iterdir()] == ["a.txt"]


def test_new_files_follow_the_umask_and_old_ones_keep_their_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        path = files.write(tmp_path / "a.txt", "x")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o600)
    files.write(path, "y")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path, monkeypatch):
    path = files.write(tmp_path / "a.txt", "old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        files.write(path, "new")
    assert path.read_text() == "old"
    assert [item.name for item in tmp_path.iterdir()] == ["a.txt"]


def test_what_is_written_is_on_the_disk_before_it_takes_the_name(tmp_path, monkeypatch):
    path = files.write(tmp_path / "a.txt", "old")
    seen = []
    monkeypatch.setattr("os.fsync", lambda descriptor: seen.append((os.fstat(descriptor).st_size, path.read_text())))
    files.write(path, "newer")
    assert seen == [(5, "old")]


def test_a_killed_run_leaves_the_old_file_or_the_new_one(tmp_path):
    path = tmp_path / "a.txt"
    old, new = "o" * 4_000_000, "n" * 4_000_000
    files.write(path, old)
    program = (
        f"from rca import files\nprint('ready', flush=True)\n"
        f"while True:\n    for letter in 'no':\n        files.write({str(path)!r}, letter * 4_000_000)\n"
    )
    for pause in (0.0, 0.01, 0.05):
        run = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
        assert run.stdout.readline() == b"ready\n"
        time.sleep(pause)
        run.send_signal(signal.SIGKILL)
        run.communicate()
        assert path.read_text() in (old, new)


def test_a_link_is_replaced_and_what_it_points_at_is_not_written_to(tmp_path):
    (tmp_path / "target").write_text("kept")
    (tmp_path / "link").symlink_to(tmp_path / "target")
    files.write(tmp_path / "link", "new")
    assert (tmp_path / "target").read_text() == "kept"
    assert (tmp_path / "link").read_text() == "new"


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_the_same_content_gives_the_same_json_whatever_the_order(content):
    shuffled = dict(reversed(content.items()))
    assert files.canonical_json(content) == files.canonical_json(shuffled)
    assert json.loads(files.canonical_json(content)) == content
    assert files.canonical_json(content).endswith("}\n")
