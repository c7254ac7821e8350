"""Licences, opt-outs, filters by name: which documents a corpus takes, and what its summary says of the others."""

import pytest

from chaku import ChakuError
from chaku.corpus.build import build_corpus
from chaku.corpus.cleaning.cleaner import Cleaner, Cleaning, is_opted_out
from chaku.corpus.cleaning.licences import allows
from chaku.corpus.reading.languages import kind_and_language
from chaku.corpus.reading.sources import Raw, Source
from chaku.plain import from_plain, result_settings
from chaku.recipe.schema import CorpusConfig

TEXT = "".join(f"alpha{number} = beta + gamma(delta)\n" for number in range(12))


def raw(path="owner/name/a.py", **about):
    return Raw(path, TEXT, "code", "Python", "tree", **about)


def test_allowed_licences():
    for licence in ("MIT", "mit", "MIT OR GPL-3.0", "(MIT AND BSD-3-Clause)", "Apache-2.0 WITH LLVM-exception"):
        assert allows(["permissive"], licence), licence
    for licence in ("GPL-3.0-only", "MIT AND GPL-2.0", None, "NOASSERTION"):
        assert not allows(["permissive"], licence), licence
    assert allows(["GPL-3.0"], "GPL-3.0-or-later")
    assert allows(["unknown"], None)
    cleaner = Cleaner(Cleaning(licenses=("permissive",)))
    dropped = cleaner.clean(raw(license="GPL-3.0"))
    assert (dropped.problem, dropped.detail) == ("licence not on the list", "GPL-3.0")
    assert cleaner.clean(raw()).problem == "licence unknown"
    assert cleaner.clean(raw(license="MIT")).problem is None


def test_opt_outs_by_repository_folder_and_path(tmp_path):
    entries = tmp_path / "out.txt"
    entries.write_text(
        "# people who asked\nhttps://github.com/Owner/Name.git\n\nother/thing/src  # a folder\ntree/b.py\n"
    )
    cleaner = Cleaner(Cleaning(opt_out=str(entries)))
    for document in (raw(), raw("other/thing/src/x.py"), raw("a.py", repository="OWNER/name"), raw("b.py#0001")):
        assert cleaner.clean(document).problem == "opted out"
    for document in (raw("owner/names/a.py"), raw("other/thing/b.py"), raw("c.py"), raw("x/b.py")):
        assert cleaner.clean(document).problem is None
    assert not is_opted_out(raw(), frozenset({"name"}))
    entries.write_text("# nobody\n")
    with pytest.raises(ChakuError, match="is empty"):
        Cleaner(Cleaning(opt_out=str(entries)))
    with pytest.raises(ChakuError, match=r"does not exist; correct corpus\.opt_out"):
        Cleaner(Cleaning(opt_out=str(tmp_path / "gone.txt")))


def test_the_recipes_keys():
    corpus = from_plain(CorpusConfig, {"sources": [], "filters": ["starcoder2", "vendored"]}, "r.toml")
    assert corpus.cleaning() == Cleaning(filters=("starcoder2", "vendored"))
    assert from_plain(CorpusConfig, {"sources": [], "filters": "opencoder"}, "r.toml").filters == "opencoder"
    assert set(result_settings(CorpusConfig(sources=()))) == {"sources", "heldout_fraction", "max_bytes"}  # as before
    with pytest.raises(ChakuError, match=r"r.toml: corpus.filters: there is no set of filters 'x'"):
        from_plain(CorpusConfig, {"sources": [], "filters": ["x"]}, "r.toml").check("r.toml: corpus")


def test_the_summary_counts_each_rule_and_names_samples(tmp_path):
    tree = tmp_path / "tree"
    (tree / "vendor").mkdir(parents=True)
    for number in range(5):
        (tree / f"vendor/{number}.py").write_text(TEXT + f"x = {number}\n")
    (tree / "own.py").write_text(TEXT)
    cleaning = Cleaning(filters=("starcoder2", "vendored"))
    summary = build_corpus([Source("t", "tree", str(tree))], tmp_path / "out", heldout_fraction=0, cleaning=cleaning)
    assert [(row["reason"], row["documents"]) for row in summary["dropped"]] == [("vendored", 5)]
    assert len(summary["samples"]["vendored"]) == 3
    assert summary["samples"]["vendored"][0]["path"].startswith("vendor/")
    assert sum(row["documents"] for row in summary["kept"]) == 1


@pytest.mark.parametrize(
    ("name", "text", "language"),
    [
        ("a.ts", '<?xml version="1.0"?>\n<TS version="2.1">', "XML"),
        ("a.ts", "const x: number = 1", "TypeScript"),
        ("a.m", "function y = f(x)\n  y = x;\nend\n", "Matlab"),
        ("a.m", "#import <A.h>\n@implementation A\n@end\n", "Objective-C"),
        ("a.pl", ":- module(a, []).\nparent(X) :- child(X).\n", "Prolog"),
        ("a.pl", "use strict;\nmy $x = 1;\n", "Perl"),
        ("a.v", "Require Import List.\nLemma a : True.\n", "Coq"),
        ("a.v", "module a(input b); endmodule\n", "Verilog"),
        ("a.py", "<!DOCTYPE html>\n<html>", "HTML"),
        ("a.py", "#!/bin/sh\necho a\n", "Shell"),
        ("a.py", "#!/usr/bin/env python3\n", "Python"),
        ("a.php", "<!doctype html><?php echo 1 ?>", "PHP"),
    ],
)
def test_the_content_decides_where_the_name_lies(tmp_path, name, text, language):
    assert kind_and_language(str(tmp_path / name), text) == ("code", language)
