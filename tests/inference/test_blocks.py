"""Texts that begin alike share cache blocks; the longest unused block goes first; no block is lost."""

import random

import pytest

from chaku.inference.blocks import BlockCache, NoBlocksError


class Copies(list):
    def __call__(self, source, target):
        self.append((source, target))


def write(cache, ids):
    """What a scheduler does with a text; returns its blocks and how many tokens were found."""
    blocks, found = cache.find(ids)
    while len(blocks) * cache.block_size < len(ids):
        cache.add(blocks)
    cache.write(blocks, found, ids[found:])
    return blocks, found


def num_found(cache, ids):
    """The tokens at the beginning of `ids` that the cache holds. Changes nothing."""
    parent, at = cache._root(None), 0
    while at < len(ids):
        block, length = cache._longest(parent, ids, at)
        at += length
        if block is None or length < cache.block_size:
            break
        parent = block
    return at


def test_whole_blocks_are_shared_and_a_part_is_copied():
    copies = Copies()
    cache = BlockCache(8, 4, copies)
    first, found = write(cache, [1, 2, 3, 4, 5, 6, 7])
    assert found == 0
    second, found = write(cache, [1, 2, 3, 4, 5, 6, 9, 9])  # while the first text is being written
    assert found == 6
    assert second[0] is first[0]
    assert copies == [(first[1].number, second[1].number)]
    assert second[1] is not first[1]
    assert num_found(cache, [1, 2, 3, 4, 5, 6, 9, 9, 1]) == 8
    assert num_found(cache, [2, 2]) == 0


def test_a_finished_text_is_found_until_its_place_is_needed():
    cache = BlockCache(4, 4, Copies())
    for start in (10, 20):
        blocks, _ = write(cache, list(range(start, start + 8)))
        cache.release(blocks)
    assert cache.num_available == 4
    assert num_found(cache, list(range(10, 18))) == 8
    blocks, found = write(cache, list(range(20, 28)))  # used once more
    assert found == 8
    cache.release(blocks)
    write(cache, [1, 2, 3, 4, 5])
    assert num_found(cache, list(range(20, 28))) == 8
    assert num_found(cache, list(range(10, 18))) == 0


def test_no_block_is_left_when_all_are_in_use():
    cache = BlockCache(2, 4, Copies())
    write(cache, [1, 2, 3, 4, 5])
    with pytest.raises(NoBlocksError):
        write(cache, [7])
    blocks, found = cache.find([1, 2, 9])  # a copy would be needed
    assert (blocks, found) == ([], 0)


def test_thousands_of_random_texts_find_what_was_written():
    """The contents of every block are played back: what is found is what was written there, and users add up."""
    draw, contents = random.Random(0), {}

    def copy(source, target):
        contents[target] = list(contents[source])

    cache, running = BlockCache(24, 4, copy), []
    for _ in range(4000):
        if running and (draw.random() < 0.5 or len(running) == 5):
            cache.release(running.pop(draw.randrange(len(running))))
            continue
        ids = [draw.randrange(3) for _ in range(draw.randrange(1, 18))]
        expected = num_found(cache, ids)
        blocks, found = cache.find(ids)
        assert found <= expected  # less where no block was left for a copy
        played = [token for block in blocks for token in contents[block.number][: len(block.tokens)]]
        assert played == ids[:found]
        try:
            while len(blocks) * 4 < len(ids):
                cache.add(blocks)
                contents[blocks[-1].number] = []
        except NoBlocksError:
            cache.release(blocks)
            continue
        for place in range(found, len(ids)):
            block = blocks[place // 4]
            contents[block.number] = [*contents[block.number][: len(block.tokens)], ids[place]]
            cache.write(blocks, place, ids[place : place + 1])
        running.append(blocks)
        in_use = {block.number for blocks in running for block in blocks}
        assert cache.num_available == 24 - len(in_use)
    for blocks in running:
        cache.release(blocks)
    assert cache.num_available == 24
