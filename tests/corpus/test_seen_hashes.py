"""The set of hashes on disk."""

import random

from chaku.corpus import seen_hashes
from chaku.corpus.seen_hashes import SeenHashes


def test_it_holds_what_was_added_in_memory_and_in_files_of_all_sizes(tmp_path, monkeypatch):
    monkeypatch.setattr(seen_hashes, "RECENT", 10)
    monkeypatch.setattr(seen_hashes, "FILES_OF_A_SIZE", 3)
    monkeypatch.setattr(seen_hashes, "AT_A_TIME", 16)
    draws = random.Random(0)
    digests = [draws.randbytes(32) for _ in range(500)] + [bytes([number]) + bytes(31) for number in range(9)]
    hashes = SeenHashes(tmp_path / "seen")
    held: set[bytes] = set()
    for first in range(0, 509, 7):
        asked = [draws.choice(digests) for _ in range(20)]
        hashes.look_up(asked)
        assert [digest in hashes for digest in asked] == [digest in held for digest in asked]
        for digest in digests[first : first + 7]:
            hashes.add(digest)
            held.add(digest)
            assert digest in hashes
    hashes.look_up(digests)
    assert all(digest in hashes for digest in digests)
    assert draws.randbytes(32) not in hashes
    files = list((tmp_path / "seen").iterdir())
    assert 1 < len(files) < 10
    assert sum(path.stat().st_size - 128 for path in files) == 16 * 500
    hashes.forget()
    assert not (tmp_path / "seen").exists()
