import pytest

from chaku.sql.scoring.bird import bird_ex, soft_f1, speed_reward


def test_ex_compares_sets_of_rows_with_their_columns_in_order():
    assert bird_ex([(1, "a"), (2, "b")], [(2, "b"), (1, "a"), (1, "a")])
    assert not bird_ex([(1, "a")], [("a", 1)])


@pytest.mark.parametrize(
    ("gold", "predicted", "expected"),
    [
        ([], [], 1.0),
        ([(1,)], [], 0.0),
        ([(1, 2)], [(2, 1)], 1.0),  # the order of cells does not count
        ([(1, 2)], [(1, 3)], 0.5),
        ([(1,), (2,)], [(1,)], 2 / 3),  # precision 1, recall 1/2
        ([(1,), (2,)], [(2,), (1,)], 0.0),  # rows are compared by their place
        ([(1,), (1,), (2,)], [(1,), (2,)], 1.0),  # repeats are dropped
        ([(1,)], [(1, 5)], 2 / 3),  # what is too much counts against
    ],
)
def test_soft_f1_counts_cells(gold, predicted, expected):
    assert soft_f1(gold, predicted) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("ratio", "reward"), [(4, 1.25), (2, 1.25), (1.5, 1), (1, 1), (0.9, 0.75), (0.5, 0.75), (0.3, 0.5), (0.1, 0.25)]
)
def test_speed_is_rewarded_in_steps(ratio, reward):
    assert speed_reward([ratio]) == reward


def test_an_outlier_does_not_count():
    assert speed_reward([1.5] * 30 + [1000.0]) == 1.0
