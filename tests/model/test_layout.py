"""Which rows a batch needs: shared beginnings once, padding never."""

import torch

from chaku.model.layout import shared_beginnings, whole_rows


def test_rows_without_documents_are_taken_as_they_are():
    tokens = torch.tensor([[5, 6, 7], [5, 6, 8]])
    layout = whole_rows(tokens)
    assert layout.tokens.tolist() == [5, 6, 7, 5, 6, 8]
    assert layout.positions.tolist() == [0, 1, 2, 0, 1, 2]
    assert layout.places.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [(group.shape, group.rows) for group in layout.groups] == [((2, 3), None)]


def test_a_beginning_is_shared_up_to_the_first_token_that_differs():
    tokens = torch.tensor([[5, 6, 7, 5, 6, 8, 8], [5, 6, 7, 9, 6, 0, 0]])
    documents = torch.tensor([[0, 0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 1, -1, -1]])
    layout = shared_beginnings(tokens, documents)
    assert layout.tokens.tolist() == [5, 6, 7, 8, 8, 9, 6]  # the 6 that begins a document is another than the second 6
    assert layout.positions.tolist() == [0, 1, 2, 2, 3, 3, 0]
    assert layout.places.tolist() == [[0, 1, 2, 0, 1, 3, 4], [0, 1, 2, 5, 6, -1, -1]]


def test_documents_of_like_length_attend_together_and_every_row_is_found():
    lengths = [40, 38, 37, 20, 3, 3]
    tokens = torch.arange(sum(lengths)).unsqueeze(0)
    documents = torch.repeat_interleave(torch.arange(6), torch.tensor(lengths)).unsqueeze(0)
    layout = shared_beginnings(tokens, documents)
    assert [group.shape for group in layout.groups] == [(3, 40), (1, 20), (2, 3)]
    gathered = torch.cat([layout.tokens[group.rows] for group in layout.groups])
    assert torch.equal(gathered[layout.attended], layout.tokens)


def test_a_batch_of_padding_alone_has_no_rows():
    layout = shared_beginnings(torch.zeros(2, 4, dtype=torch.int64), torch.full((2, 4), -1))
    assert len(layout.tokens) == 0
    assert layout.groups == ()
