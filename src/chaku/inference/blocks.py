"""Which blocks of the key-value cache hold which tokens: texts that begin alike share the blocks of their beginning.

The blocks form a tree: a block's tokens follow the tokens of its parent. A block stays in the tree after its last user
has gone, so that a later text with the same beginning finds it; the block that was given back first is taken first when
a new one is needed.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field


@dataclass(eq=False, slots=True)
class Block:
    """One block of the cache. `tokens`: what it holds. `users`: the texts that are being written with it."""

    number: int
    parent: "Block | None"
    tokens: list[int] = field(default_factory=list)
    users: int = 1
    children: "dict[int, list[Block]]" = field(default_factory=dict)  # by their first token


class NoBlocksError(Exception):
    """All blocks are in use."""


class BlockCache:
    """The blocks of a cache. `copy(source, target)` copies the contents of a block."""

    def __init__(self, num_blocks: int, block_size: int, copy: Callable[[int, int], None]):
        self.num_blocks, self.block_size, self._copy = num_blocks, block_size, copy
        self._roots: dict[Hashable, Block] = {}
        self._never_used = list(range(num_blocks - 1, -1, -1))
        # Blocks without users, the longest unused first. A text gives its last block back first, so a block comes after
        # all of its children: the first one never has children.
        self._unused: OrderedDict[Block, None] = OrderedDict()

    @property
    def num_available(self) -> int:
        """Blocks without users."""
        return len(self._never_used) + len(self._unused)

    def find(self, ids: Sequence[int], tree: Hashable = None) -> tuple[list[Block], int]:
        """The blocks that hold the beginning of `ids`, now in use, and the number of tokens that they hold.

        `tree`: texts share blocks only within a tree; the keys and values of an adapter are its own. The last block is
        a copy when only its beginning agrees: `ids` may then go on in it.
        """
        found: list[Block] = []
        parent, at = self._root(tree), 0
        while at < len(ids):
            block, length = self._longest(parent, ids, at)
            if block is None:
                break
            if length < self.block_size:
                if copy := self._copied(block, length):
                    found.append(copy)
                    at += length
                break
            self._use(block)
            found.append(block)
            parent, at = block, at + length
        return found, at

    def num_needed(self, ids: Sequence[int], tree: Hashable = None) -> int:
        """The blocks without users that a text of `ids` and one more token takes. Changes nothing."""
        parent, at = self._root(tree), 0
        needed = len(ids) // self.block_size + 1
        while at + self.block_size < len(ids):  # the last of the `ids` is never found: its logits are wanted
            block, length = self._longest(parent, ids, at)
            if block is None or length < self.block_size:
                break
            needed -= block.users > 0
            parent, at = block, at + length
        return needed

    def add(self, blocks: list[Block], tree: Hashable = None) -> None:
        """Append a new block to a text's blocks. Raises NoBlocksError when all blocks are in use."""
        blocks.append(Block(self._take(), blocks[-1] if blocks else self._root(tree)))

    def write(self, blocks: Sequence[Block], start: int, ids: Sequence[int]) -> None:
        """Record that a text's tokens from number `start` on are `ids`, and that the cache holds them."""
        for place, token in enumerate(ids, start):
            block = blocks[place // self.block_size]
            assert len(block.tokens) == place % self.block_size, "tokens are written one after another"
            assert block.users == 1, "a shared block is full"
            block.tokens.append(token)
            if len(block.tokens) == 1 and block.parent:
                block.parent.children.setdefault(token, []).append(block)

    def release(self, blocks: Sequence[Block]) -> None:
        """A text no longer uses its blocks; they stay until their place is needed."""
        for block in reversed(blocks):
            block.users -= 1
            if block.users:
                continue
            if block.tokens:
                self._unused[block] = None
            else:
                self._never_used.append(block.number)

    def _root(self, tree: Hashable) -> Block:
        return self._roots.setdefault(tree, Block(-1, None))

    def _longest(self, parent: Block, ids: Sequence[int], at: int) -> tuple[Block | None, int]:
        """The child of `parent` that agrees with most tokens of `ids` from `at` on, and how many."""
        best, longest = None, 0
        for block in parent.children.get(ids[at], ()):
            ours, theirs = block.tokens, ids[at : at + len(block.tokens)]
            if ours == theirs:  # most blocks of a prompt are whole
                length = len(ours)
            else:
                pairs = enumerate(zip(ours, theirs, strict=False))
                length = next((number for number, (one, other) in pairs if one != other), len(theirs))
            if length > longest:
                best, longest = block, length
        return best, longest

    def _copied(self, source: Block, length: int) -> Block | None:
        """A new block with the first `length` tokens of `source`; None when all blocks are in use."""
        self._use(source)  # so that it is not taken for its own copy
        try:
            copy = Block(self._take(), source.parent)
        except NoBlocksError:
            return None
        finally:
            self.release([source])
        self._copy(source.number, copy.number)
        copy.tokens = source.tokens[:length]
        assert copy.parent
        copy.parent.children[copy.tokens[0]].append(copy)
        return copy

    def _use(self, block: Block) -> None:
        block.users += 1
        self._unused.pop(block, None)

    def _take(self) -> int:
        if self._never_used:
            return self._never_used.pop()
        if not self._unused:
            raise NoBlocksError
        block, _ = self._unused.popitem(last=False)
        assert block.parent
        assert not block.children
        siblings = block.parent.children[block.tokens[0]]
        siblings.remove(block)
        if not siblings:
            del block.parent.children[block.tokens[0]]
        return block.number
