"""What differs between two records is named where it differs."""

from chaku.manifest import differing


def test_a_difference_inside_of_a_mapping_is_named_by_its_path():
    long = {"path": "x" * 100, "sha256": "1", "dtype": "float32"}
    before, now = {"model": long, "seed": 1}, {"model": {**long, "chat": True}, "seed": 1}
    assert differing(before, now) == ["model.chat was None, is now True"]
    assert differing({"a": {"b": {"tasks_sha256": "1"}}}, {"a": {"b": {"tasks_sha256": "2"}}}) == ["problems changed"]
    assert differing({"a": {"b": 1}}, {"a": 2}) == ["a was {'b': 1}, is now 2"]
