import json
import socket

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from chaku.errors import ChakuError
from chaku.inference.embeddings import EmbeddingsServer, StaticEmbeddings, find_embedder
from endpoint_server import running_server
from tiny_embeddings import make_static_embeddings


def test_static_embeddings_are_the_mean_of_the_known_tokens_and_of_length_1(tmp_path):
    embedder = find_embedder(str(make_static_embeddings(tmp_path)))
    both, one, none = embedder.embed(["buyers xyzzy orders", "Customers", "xyzzy"])
    assert np.allclose(both, [2**-0.5, 2**-0.5, 0, 0, 0])
    assert np.allclose(one, [1, 0, 0, 0, 0])
    assert not none.any()


def test_weights_and_a_mapping_of_tokens_to_rows_are_used(tmp_path):
    make_static_embeddings(tmp_path)
    file = tmp_path / "model.safetensors"
    old = load_file(file)["embeddings"]
    order = np.random.default_rng(0).permutation(len(old))
    weights = np.ones(len(old), np.float32)
    weights[5] = 3.0  # orders
    save_file({"embeddings": old[order], "mapping": np.argsort(order), "weights": weights}, file)
    [vector] = StaticEmbeddings(tmp_path).embed(["buyers orders"])
    assert np.allclose(vector, np.array([1, 3, 0, 0, 0]) / 10**0.5)


def test_another_directory_is_refused(tmp_path):
    with pytest.raises(ChakuError, match=r"has no model\.safetensors; --embeddings takes a directory of static"):
        find_embedder(str(tmp_path))
    make_static_embeddings(tmp_path)
    save_file({"other": np.zeros((2, 2), np.float32)}, tmp_path / "model.safetensors")
    with pytest.raises(ChakuError, match="has no tensor `embeddings`"):
        StaticEmbeddings(tmp_path).embed(["a"])


def vectors(request):
    rows = [{"index": number, "embedding": [len(text), 1.0]} for number, text in enumerate(request["input"])]
    return {"data": rows[::-1]}  # an order is not promised


def test_a_server_gets_texts_in_batches_and_its_vectors_come_in_their_order(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    texts = ["x" * number for number in range(1, 150)]
    with running_server() as server:
        server.answer = vectors
        embedder = find_embedder(server.url, "tiny", tmp_path / "sent.jsonl")
        found = embedder.embed(texts)
        assert [len(request["input"]) for request in server.requests] == [32, 32, 32, 32, 21]
        assert {request["model"] for request in server.requests} == {"tiny"}
        assert (server.paths[0], server.keys[0]) == ("/v1/embeddings", "Bearer secret")
    assert np.allclose(found[:, 0] / found[:, 1], range(1, 150), rtol=1e-4)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    sent = [json.loads(line) for line in (tmp_path / "sent.jsonl").read_text().splitlines()]
    assert [text for line in sent for text in line["input"]] == texts


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda request: {"data": []}, "gave 0 vectors for 1 texts|lists of numbers"),
        (lambda request: {"choices": []}, r"does not answer with data\[i\]\.embedding"),
        (lambda request: {"data": [{"index": 0, "embedding": "abc"}]}, "lists of numbers"),
    ],
)
def test_another_answer_is_named(answer, said):
    with running_server() as server:
        server.answer = answer
        with pytest.raises(ChakuError, match=said):
            EmbeddingsServer(server.url, "tiny").embed(["a"])


def test_a_server_that_hangs_is_waited_for_so_long_as_its_texts_need(monkeypatch):
    monkeypatch.setattr("chaku.inference.embeddings.PATIENCE", 0.1)
    monkeypatch.setattr("chaku.inference.embeddings.PATIENCE_PER_TEXT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        embedder = EmbeddingsServer(f"http://127.0.0.1:{hanging.getsockname()[1]}", "tiny")
        with pytest.raises(ChakuError, match=r"did not answer \(timed out after 0\.2 s\); start it, or leave out"):
            embedder.embed(["a", "b"])


def test_a_server_that_refuses_or_is_away_is_named():
    with running_server() as server:
        server.troubles = [404]
        with pytest.raises(ChakuError, match=r"refuses: 404 .*check --embeddings-model"):
            EmbeddingsServer(server.url, "tiny").embed(["a"])
        url = server.url
    with pytest.raises(ChakuError, match=r"did not answer \(.*leave out --embeddings"):
        EmbeddingsServer(url, "tiny").embed(["a"])
    with pytest.raises(ChakuError, match="neither a directory nor a URL"):
        find_embedder("ftp://localhost/v1")
