"""The page's files are served whole, with headers that let them do no harm; /v1/status says what the model can do."""

import re
from importlib.resources import files

import pytest
from starlette.testclient import TestClient

import fake_databases
from chaku.inference.engine import Engine
from chaku.serve.app import Access, build_app
from chaku.serve.models import Served
from chaku.serve.service import Service

FILES = {file.name: file.read_text(encoding="utf-8") for file in files("chaku.serve").joinpath("page").iterdir()}
PATHS = {"/" if name == "index.html" else f"/page/{name}": name for name in FILES}
TYPES = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
NAMESPACE = "http://www.w3.org/2000/svg"  # a name, not an address


@pytest.mark.parametrize("path", PATHS)
def test_files_have_their_type_and_headers(client, path):
    response = client.get(path)
    assert response.status_code == 200
    assert response.text == FILES[PATHS[path]]
    assert response.headers["content-type"].split(";")[0] == TYPES[PATHS[path].split(".")[1]]
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy


@pytest.mark.parametrize("path", ["/page/", "/page/../page.py", "/page/%2e%2e/page.py", "/page/nothing.js", "/page"])
def test_other_files_are_not_served(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("name", FILES)
def test_files_load_nothing_from_elsewhere(name):
    text = FILES[name].replace(NAMESPACE, "")
    assert not re.search(r"https?:|//[a-z0-9-]+\.[a-z]|@import|url\(", text)
    for loaded in re.findall(r'(?:src|href)="([^"]*)"|from "([^"]*)"', text):
        assert re.sub(r"^(page|\.)/", "", "".join(loaded)) in FILES


def test_the_html_has_no_script_or_style_of_its_own():
    assert re.findall(r"<script[^>]*>[^<]+|<style|\sstyle=|\son[a-z]+=", FILES["index.html"]) == []


def test_no_file_writes_html():
    for name, text in FILES.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text), name


def test_the_page_needs_no_key_and_the_status_needs_it(engine):
    with TestClient(build_app(Served(Service(engine), "tiny"), Access("secret"))) as client:
        assert all(client.get(path).status_code == 200 for path in PATHS)
        assert client.get("/v1/status").status_code == 401
        assert client.get("/v1/status", headers={"Authorization": "Bearer secret"}).json()["name"] == "tiny"


def test_the_status_before_and_after_a_text(client):
    before = client.get("/v1/status").json()
    assert before == {
        "name": "tiny",
        "context": 256,
        "running": 0,
        "max_running": 32,
        "waiting": 0,
        "max_waiting": 256,
        "cache_use": 0.0,
        "tokens_per_second": None,
        "infills": True,
        "chats": False,
        "asks_databases": False,
    }
    client.post("/v1/completions", json={"prompt": "def", "max_tokens": 30, "temperature": 0})
    after = client.get("/v1/status").json()
    assert after.pop("tokens_per_second") > 0
    assert before.items() >= after.items()


def test_the_status_counts_running_and_waiting_texts(engine):
    service = Service(engine, max_rows=1)
    with TestClient(build_app(Served(service, "tiny"), more=[fake_databases.contract([])])) as client:
        body = {"prompt": ["def", "x", "for"], "max_tokens": 100, "stream": True, "temperature": 0}
        seen = []

        def look(scheduler_step=service._scheduler.step):
            seen.append((service.num_running, service.num_waiting, service.cache_use[0]))
            return scheduler_step()

        service._scheduler.step = look
        assert client.post("/v1/completions", json=body).status_code == 200
        assert (1, 2) in {(running, waiting) for running, waiting, _ in seen}
        assert max(used for _, _, used in seen) > 0
        status = client.get("/v1/status").json()
        assert (status["running"], status["waiting"], status["asks_databases"]) == (0, 0, True)


def test_a_chat_template_that_cannot_be_used_is_none_for_every_api(engine):
    broken = Engine(engine.model, engine.tokenizer.with_chat_template("{{ 'always the same' }}"))
    with TestClient(build_app(Served(Service(broken), "tiny"))) as client:
        assert client.get("/v1/status").json()["chats"] is False
        assert client.get("/v1/health").json()["chat_model"] is None
        body = {"model": "tiny", "prompt": "def", "stream": False, "options": {"num_predict": 3}}
        assert client.post("/api/generate", json=body).status_code == 200  # a text to complete, not a message
