"""Which stages have seen a document is said exactly; a build without it needs only the list of `remove`."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from chaku import ChakuError
from chaku.cli import main
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import Cleaning
from chaku.corpus.reading.sources import Source
from chaku.documents import read_documents
from chaku.files import read_json
from chaku.pipeline import removal
from chaku.pipeline.exposure import exposures
from chaku.pipeline.removal import in_lines, remove
from chaku.pipeline.training import make_dataset
from chaku.recipe.family import stage_seed
from chaku.recipe.load import load_recipe
from chaku.tokens.load import load_tokenizer
from chaku.tokens.mixture import epoch_key, permute, source_of


def tokens_by_hand(recipe_path, run, stage_name, documents):
    """The tokens of documents in the samples of a finished stage, sample after sample, as the loader reads them."""
    recipe = load_recipe(recipe_path)
    stage = recipe.stages[stage_name]
    seed = stage_seed(recipe, stage_name)
    dataset = make_dataset(recipe, run, load_tokenizer(run / "tokenizer"), stage, seed)
    about = read_json(run / "stages" / stage_name / "stage.json")
    total = 0
    for index in range(about["tokens"] // stage.sequence_length):
        source, position = source_of(index, dataset.weights, seed)
        plan = dataset.plans[source]
        epoch, place = divmod(position, len(plan))
        sequence = permute(place, len(plan), epoch_key(seed, source, epoch))
        for document, start, stop in plan.items[plan.offsets[sequence] : plan.offsets[sequence + 1]].tolist():
            total += stop - start if document in documents else 0
    return total


def test_the_tokens_that_each_stage_read_are_counted_exactly(whole, recipe_path):
    kinds = np.array(pq.read_table(whole / "tokens/train.parquet")["kind"].to_pylist())
    documents = np.concatenate([np.flatnonzero(kinds == "code")[:9], np.flatnonzero(kinds == "prose")[:3]])
    found = {stage.stage: stage for stage in exposures(whole, documents)}
    assert list(found) == ["base", "code", "long"]
    for name in found:
        assert found[name].tokens == tokens_by_hand(recipe_path, whole, name, set(documents.tolist())), name
    assert found["code"].tokens > 0
    assert found["code"].exact
    assert found["base"].sets == ("prose", "code")
    assert found["long"].documents == 9  # it has no prose
    assert found["long"].inherited == ("code", "base")


def test_a_mean_is_given_where_there_are_too_many_sequences(whole, monkeypatch):
    documents = np.arange(0, 100)
    exact = {stage.stage: stage.tokens for stage in exposures(whole, documents)}
    monkeypatch.setattr("chaku.pipeline.exposure.MOST_PLACES", 0)
    for stage in exposures(whole, documents):
        assert not stage.exact
        assert stage.tokens == pytest.approx(exact[stage.stage], rel=0.2, abs=600)


def test_a_file_of_a_run_is_followed_to_the_models(whole, tmp_path):
    code = next(document for document in read_documents(whole / "corpus", "train", ["code"], ["Python"]))
    name = f"files/{code.path}"
    before = {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()}
    found = remove(whole, [name], opt_out=tmp_path / "list.txt")
    assert (tmp_path / "list.txt").read_text().startswith(f"{name}  # chaku corpus remove, ")
    whole_file = [one for one in read_documents(whole / "corpus", "train") if one.path.partition("#")[0] == code.path]
    assert found.documents == len(whole_file)
    rows = pq.read_table(whole / "tokens/train.parquet").to_pylist()
    assert found.tokens == sum(row["num_tokens"] for row in rows if row["path"].partition("#")[0] == code.path)
    assert found.trained_tokenizer
    assert [stage.stage for stage in found.stages if stage.has_seen] == ["base", "code", "long"]
    said = "\n".join(in_lines(found, whole))
    assert f"stage code: trained on {found.stages[1].tokens:,} of their tokens" in said
    assert "chaku run RECIPE --set corpus.opt_out=" in said
    assert {path: path.stat().st_mtime_ns for path in whole.rglob("*") if path.is_file()} == before


def test_a_build_with_the_list_lacks_what_was_removed_and_its_copies(tmp_path):
    tree = tmp_path / "tree"
    for name, number in [("a/one.py", 1), ("b/one.py", 1), ("a/two.py", 2), ("b/three.py", 3)]:
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(f"def add_{number}(first, second):\n    return first + second + {number}\n" * 2)
    source, plain = Source("tree", "tree", str(tree)), Cleaning(decontaminate=False)
    build_corpus([source], tmp_path / "first", heldout_fraction=0, cleaning=plain)
    kept = {document.path for document in read_documents(tmp_path / "first", "train")} & {"a/one.py", "b/one.py"}
    [path], [copy] = list(kept), list({"a/one.py", "b/one.py"} - kept)
    opt_out = tmp_path / "list.txt"
    opt_out.write_text("someone/else")  # a list of the user's, without a last end of line

    def rebuilt():
        cleaning = Cleaning(decontaminate=False, opt_out=str(opt_out))
        build_corpus([source], tmp_path / "second", heldout_fraction=0, cleaning=cleaning)
        return {document.path for document in read_documents(tmp_path / "second", "train")}

    found = remove(tmp_path / "first", [str(tree / path)], opt_out=opt_out)
    assert (found.entries, found.copies) == ((f"tree/{path}",), (f"tree/{copy}",))
    assert opt_out.read_text().splitlines()[0] == "someone/else"
    assert rebuilt() == {copy, "a/two.py", "b/three.py"}
    remove(tmp_path / "first", [str(tree / path)], opt_out=opt_out, copies=True)
    assert rebuilt() == {"a/two.py", "b/three.py"}
    assert remove(tmp_path / "first", [str(tree / path)], opt_out=opt_out, copies=True).added == ()
    assert remove(tmp_path / "first", [str(tree / "a")], opt_out=opt_out).added == ("tree/a",)
    assert rebuilt() == {"b/three.py"}


def test_without_a_list_nothing_is_written_and_a_wrong_name_is_an_error(whole, capsys):
    assert main(["corpus", "remove", "files/d1", "--corpus", str(whole)]) == 0
    said = capsys.readouterr().out
    assert "nothing was written; --opt-out FILE" in said
    assert "stage base: trained on" in said
    with pytest.raises(ChakuError, match=r"no document of .* is named by 'nobody/nothing'"):
        removal.remove(whole, ["nobody/nothing"])
