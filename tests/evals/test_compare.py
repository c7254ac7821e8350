"""Two results: the same protocol or none, and whether the difference is chance."""

import json

import pytest

from chaku import ChakuError
from chaku.evals.compare import compare, mcnemar, read_scored
from chaku.evals.in_words import comparison_in_lines

MANIFEST = {"data_sha256": "d", "prompt_form": "plain", "stops": ["x"], "temperature": 0.0, "timeout": 3.0, "seed": 1}


def write(directory, passed, **manifest):
    """A result of tasks named by number; `passed` has a text of 0 and 1 a task, one a sample."""
    directory.mkdir()
    lines = [
        {"task_id": f"t{number}", "index": index, "passed": sample == "1", "measures": {"bleu": 10.0 * int(sample)}}
        for number, samples in passed.items()
        for index, sample in enumerate(samples)
    ]
    (directory / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    ks = {str(k): 0.0 for k in (1, 2) if k <= min(map(len, passed.values()))}
    results = {"benchmark": "little", "pass_at_k": ks, "manifest": {**MANIFEST, **manifest}}
    (directory / "results.json").write_text(json.dumps(results))
    return read_scored(directory)


def test_one_sample_each_is_mcnemars_test(tmp_path):
    one = write(tmp_path / "one", {n: "1" if n < 40 else "0" for n in range(100)})
    other = write(tmp_path / "other", {n: "1" if n < 38 or n >= 85 else "0" for n in range(100)}, seed=2)
    found = compare(one, other)
    row = found["scores"]["pass@1"]
    assert (row["a"], row["b"], row["difference"]) == (0.40, 0.53, pytest.approx(0.13))
    assert (row["only_a"], row["only_b"]) == (2, 15)
    assert row["p"] == pytest.approx(2 * (1 + 17 + 136) / 2**17)
    low, high = row["interval_95"]
    assert 0.04 < low < 0.13 < high < 0.22
    assert found["scores"]["bleu"]["difference"] == pytest.approx(1.3)
    assert "solved by a only: 2, by b only: 15" in "\n".join(comparison_in_lines(found))


def test_mcnemars_p_is_exact():
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(3, 3) == 1.0
    assert mcnemar(0, 5) == mcnemar(5, 0) == pytest.approx(2 / 32)


def test_several_samples_are_compared_by_a_paired_bootstrap(tmp_path):
    """The same shares in other problems: alone they overlap, in pairs the gain is sure."""
    one = write(tmp_path / "one", {n: "11" if n % 2 else "00" for n in range(60)})
    other = write(tmp_path / "other", {n: "11" if n % 2 else ("10" if n % 4 else "00") for n in range(60)})
    row = compare(one, other)["scores"]["pass@1"]
    assert row["difference"] == pytest.approx(0.125)
    assert 0.05 < row["interval_95"][0] < row["interval_95"][1] < 0.2
    assert row["p"] < 0.001
    assert "only_a" not in row
    same = compare(one, one)["scores"]
    assert list(same) == ["pass@1", "pass@2", "bleu"]
    assert same["pass@2"]["p"] == 1.0


def test_only_common_problems_count(tmp_path):
    one = write(tmp_path / "one", {0: "1", 1: "1", 2: "0"})
    other = write(tmp_path / "other", {1: "0", 2: "0", 9: "1"})
    found = compare(one, other)
    assert (found["num_common"], found["num_only_a"], found["num_only_b"]) == (2, 1, 1)
    assert (found["scores"]["pass@1"]["a"], found["scores"]["pass@1"]["b"]) == (0.5, 0.0)
    with pytest.raises(ChakuError, match="no problem in common"):
        compare(one, write(tmp_path / "third", {7: "1"}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"temperature": 0.8}, "temperature is 0.0 in the first, 0.8 in the second"),
        (
            {"timeout": 9.0, "stops": []},
            r"stops is \['x'\] in the first, \[\] in the second; timeout is 3.0 in the first, 9.0 in the second",
        ),
        ({"data_sha256": "e"}, "the problems or their prompts differ"),
        (
            {"isolation": "none: --unsafe-no-sandbox"},
            "isolation is None in the first, 'none: --unsafe-no-sandbox' in the second",
        ),
    ],
)
def test_other_protocols_are_not_compared_unsaid(tmp_path, change, message):
    one, other = write(tmp_path / "one", {0: "1"}), write(tmp_path / "other", {0: "0"}, **change)
    with pytest.raises(ChakuError, match=f"were not measured alike: {message}. Give --anyway"):
        compare(one, other)
    found = compare(one, other, anyway=True)
    assert len(found["differences"]) == len(change)
    assert comparison_in_lines(found)[0].startswith("NOT ALIKE: ")


def test_what_is_no_result_is_named(tmp_path):
    with pytest.raises(ChakuError, match="there is no result in"):
        read_scored(tmp_path)
    (tmp_path / "results.json").write_text('{"benchmark": "perplexity", "results": {}}')
    with pytest.raises(ChakuError, match="is not a result with samples"):
        read_scored(tmp_path / "results.json")
