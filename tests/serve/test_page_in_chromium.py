"""The page in a real browser, driven with the keyboard. It logs no error, and asks no other host for anything."""

import json
import re
import time
from contextlib import ExitStack

import pytest

import fake_databases
from page_visitor import CHROMIUM, PALE_TEXTS, Visitor

pytest.importorskip("playwright", reason="without playwright (chaku[dev]) the page is NOT tested in a browser")
from playwright.sync_api import expect, sync_playwright

from chaku.inference.engine import Engine
from chaku.inference.generator import ChatPrompt, InfillPrompt, Request, SamplingParams, TextPrompt
from chaku.inference.sampling import choose
from chaku.serve.app import Access, build_app
from chaku.serve.models import Served
from chaku.serve.service import Service
from chaku.tokens.chat import Chat, Message

expect.set_options(timeout=30_000)  # milliseconds: a machine may be busy with other tests

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="without Chromium the page is NOT tested in a browser: apt-get install chromium"
)

TEXT = "def add(a, b):\n    "
STEP_SECONDS = 0.05  # of the slow engine: its texts take seconds, so that a test can stop them


@pytest.fixture(scope="module")
def chatting(engine):
    """The tiny model with a chat template."""
    model = Engine(engine.model, engine.tokenizer)
    model.chat = Chat(engine.tokenizer, "llama2")
    return model


@pytest.fixture(scope="module")
def slow(chatting):
    def choose_slowly(*given):
        time.sleep(STEP_SECONDS)
        return choose(*given)

    model = Engine(chatting.model, chatting.tokenizer, sampler=choose_slowly)
    model.chat = chatting.chat
    return model


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def visitor(browser, served_at):
    """The test fails when a page logs anything, or asks another host."""
    with ExitStack() as closing:
        visitor = Visitor(browser, served_at, closing)
        yield visitor
    assert visitor.logged == []
    assert visitor.asked
    assert [url for url in visitor.asked if not url.startswith("http://127.0.0.1:")] == []


@pytest.fixture
def page(visitor, chatting):
    """The page of the tiny model, with databases."""
    asked = []
    app = build_app(Served(Service(chatting), "tiny"), more=[fake_databases.contract(asked)])
    page = visitor.open(app, permissions=["clipboard-read", "clipboard-write"])
    expect(page.locator("#model")).to_have_text("tiny")
    expect(page.get_by_role("tab", name="Ask a database")).to_be_visible()
    page.asked_databases = asked
    return page


def tab_to(page, name, backwards=False):
    """Press Tab until the element has the focus."""
    for _ in range(20):
        page.keyboard.press("Shift+Tab" if backwards else "Tab")
        if page.evaluate("document.activeElement.id") == name:
            return
    raise AssertionError(f"Tab does not reach {name}")


def type_text(page, text):
    tab_to(page, "text")
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(text)


def written(page):
    """Waits for the whole proposal; its text."""
    expect(page.locator("#write-state")).to_contain_text("arrow keys visit")
    return page.locator(".written").text_content()


def as_lines(text):
    """A text as a text area holds it."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def text_of(page):
    return page.locator("#text").input_value()


def test_a_text_is_completed_visited_accepted_and_undone(page, chatting):
    params = SamplingParams(max_tokens=128, healing=True)
    expected = chatting.answer([Request(TextPrompt(TEXT), params)])[0].text
    type_text(page, TEXT)
    page.keyboard.press("Control+Enter")
    assert written(page) == expected
    page.keyboard.press("ArrowRight")
    expect(page.locator("#token")).to_be_visible()
    expect(page.locator("#token b")).to_contain_text(re.compile(r"\d%"))
    focused = page.evaluate("document.activeElement.textContent")
    assert expected.startswith(focused)
    page.keyboard.press("ArrowRight")  # the first token is healed, so few others are possible there
    assert page.locator("#token").get_by_text("%").count() > 3  # with other likely tokens
    page.keyboard.press("Tab")
    assert text_of(page) == TEXT + as_lines(expected)
    assert page.evaluate("document.activeElement.id") == "text"
    assert page.evaluate("document.getElementById('text').selectionStart") == len(TEXT + expected)
    page.keyboard.press("Control+Z")
    assert text_of(page) == TEXT


def test_a_hole_is_filled_and_taken_back(page, chatting):
    prefix, suffix = TEXT, "\n\nprint(add(1, 2))\n"
    prompt = InfillPrompt(prefix, suffix, window=True)
    expected = chatting.answer([Request(prompt, SamplingParams(max_tokens=40, healing=True))])[0].text
    type_text(page, prefix + suffix)
    tab_to(page, "write-length")
    page.keyboard.insert_text("40")
    tab_to(page, "text", backwards=True)
    page.keyboard.press("Control+Home")
    for _ in prefix:
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Control+Enter")
    assert written(page) == expected
    assert page.locator("#proposal").text_content() == prefix + expected + suffix
    page.locator(".written span").first.hover()
    expect(page.locator("#token b")).to_contain_text("%")
    page.keyboard.press("Escape")
    assert text_of(page) == prefix + suffix
    page.keyboard.insert_text("#")  # the cursor is where it was
    assert text_of(page) == prefix + "#" + suffix


def test_a_selection_is_replaced_and_typing_takes_a_proposal_back(page, chatting):
    type_text(page, "xy z")
    page.evaluate("document.getElementById('text').setSelectionRange(1, 2)")
    page.keyboard.press("Control+Enter")
    expected = written(page)
    page.keyboard.press("q")
    assert text_of(page) == "xq z"
    page.keyboard.press("Control+Z")
    page.evaluate("document.getElementById('text').setSelectionRange(1, 2)")
    page.keyboard.press("Control+Enter")
    assert written(page) == expected
    page.keyboard.press("Tab")
    assert text_of(page) == "x" + as_lines(expected) + " z"


def test_a_text_and_a_reply_are_stopped(visitor, slow):
    service = Service(slow, guess=False)
    page = visitor.open(build_app(Served(service, "tiny")))
    expect(page.locator("#model")).to_have_text("tiny")
    type_text(page, TEXT)
    page.keyboard.press("Control+Enter")
    expect(page.locator(".written")).not_to_be_empty()
    page.keyboard.press("Control+Enter")
    expect(page.locator("#write-state")).to_contain_text("Stopped after")
    partial = page.locator(".written").text_content()
    assert partial
    page.keyboard.press("Tab")
    assert text_of(page) == TEXT + as_lines(partial)
    page.get_by_role("tab", name="Chat").click()
    page.locator("#message").fill("Hello")
    page.keyboard.press("Enter")
    expect(page.locator(".assistant .words")).not_to_be_empty()
    tab_to(page, "chat-stop")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-state")).to_have_text("Stopped.")
    deadline = time.monotonic() + 10
    while service.num_running and time.monotonic() < deadline:
        time.sleep(0.02)
    assert service.num_running == 0
    assert service.totals.cancelled == 2


def test_a_conversation(page, chatting):
    def reply(*contents):
        roles = ("user", "assistant", "user")
        messages = tuple(Message(role, content) for role, content in zip(roles, contents, strict=False))
        return chatting.answer([Request(ChatPrompt(messages), SamplingParams(max_tokens=20))])[0].text

    tab_to(page, "tab-write")
    page.keyboard.press("ArrowRight")
    tab_to(page, "chat-temperature")
    page.keyboard.insert_text("0")
    tab_to(page, "chat-length")
    page.keyboard.insert_text("20")
    sent = []
    page.on("request", lambda request: sent.append(request.post_data) if "chat" in request.url else None)
    tab_to(page, "message", backwards=True)
    page.keyboard.insert_text("def")
    page.keyboard.press("Enter")
    expect(page.locator("#chat-state")).to_contain_text("cut off")
    first = reply("def")
    assert squeezed(page.locator(".assistant").text_content()) == squeezed("Model" + first)
    page.keyboard.insert_text("x")
    page.keyboard.press("Enter")
    expect(page.locator(".assistant")).to_have_count(2)
    expect(page.locator("#talk")).not_to_have_attribute("aria-busy", "true")
    assert json.loads(sent[-1])["messages"] == [
        {"role": "user", "content": "def"},
        {"role": "assistant", "content": first},
        {"role": "user", "content": "x"},
    ]
    assert squeezed(page.locator(".assistant").last.text_content()) == squeezed("Model" + reply("def", first, "x"))
    tab_to(page, "clear")
    page.keyboard.press("Enter")
    assert page.locator("#talk").text_content() == ""
    assert page.evaluate("document.activeElement.id") == "message"


def squeezed(text):
    return "".join(text.split())


def test_what_a_model_writes_is_never_html(page):
    code = "print('<b>') # ` **x**\n<script>alert(1)</script>"
    parts = ["<img src=x onerror=alert(1)> `a<b` **strong**\n```py", f"thon\n{code}\n``", "`\nafter\n```\nop\u202een"]
    deltas = [{"choices": [{"delta": {"content": part}, "finish_reason": None}]} for part in parts]
    body = "".join(f"data: {json.dumps(delta)}\n\n" for delta in deltas) + "data: [DONE]\n\n"
    page.route("**/v1/chat/completions", lambda route: route.fulfill(body=body, content_type="text/event-stream"))
    page.get_by_role("tab", name="Chat").click()
    page.locator("#message").fill("<u>me</u>")
    page.keyboard.press("Enter")
    reply = page.locator(".assistant")
    expect(reply.locator(".block")).to_have_count(2)
    assert page.locator("#talk").locator("img, script, b, u").count() == 0
    assert reply.locator(".words").all_text_contents() == ["<img src=x onerror=alert(1)> a<b strong", "after"]
    assert reply.locator("strong").all_text_contents() == ["strong"]
    assert reply.locator(".words code").all_text_contents() == ["a<b"]
    assert reply.locator("pre").all_text_contents() == [code, "op⟨U+202E⟩en"]
    assert reply.locator(".block header span").all_text_contents() == ["python", "code"]
    assert page.locator(".user .words").text_content() == "<u>me</u>"
    reply.get_by_role("button", name="Copy").first.click()
    expect(reply.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == code


def test_a_database_is_asked_and_a_chart_is_drawn(page):
    tab_to(page, "tab-write")
    page.keyboard.press("ArrowLeft")  # from the first tab to the last
    assert page.evaluate("document.activeElement.id") == "tab-database"
    expect(page.locator("#tables")).to_have_text("Tables: orders, customers")
    tab_to(page, "question")

    def ask(question, num):
        page.keyboard.insert_text(question)
        page.keyboard.press("Enter")
        expect(page.locator("#answers .scroll")).to_have_count(num)
        return page.locator("#answers article").last

    answer = ask("Total of each country?", 1)
    expect(page.locator("#database-state")).to_have_text("The answer has 3 rows.")
    assert answer.locator("li").count() == 2
    confidence = "Confidence: 80% (4 of 5 queries agree)"
    for text in (
        "Adds up total for each country.",
        "Assumed: orders are of all years",
        confidence,
        "3 rows were found.",
    ):
        expect(answer.get_by_text(text)).to_be_visible()
    assert answer.locator("pre").text_content() == fake_databases.SQL
    assert answer.locator("td").all_text_contents()[:4] == ["Germany", "1203.5", "<b>France</b>", "-120.25"]
    expect(answer.get_by_role("img", name="Bars of total by country")).to_be_visible()
    expect(answer.locator("rect.bar")).to_have_count(3)
    assert page.locator("#answers b").count() == 0

    line = ask("And each month?", 2)
    expect(line.get_by_role("img", name="A line of orders by month")).to_be_visible()
    expect(line.locator("circle")).to_have_count(12)
    asked = {"database": "shop", "stream": True}
    assert page.asked_databases == [
        asked | {"question": "Total of each country?", "session": "new"},
        asked | {"question": "And each month?", "session": fake_databases.SESSION},
    ]
    page.get_by_role("button", name="Back").click()
    expect(page.locator("#database-state")).to_have_text("Back to: Total of each country?")
    expect(page.locator("#answers article")).to_have_count(1)
    assert page.asked_databases[-1] == {"database": "shop", "session": fake_databases.SESSION}

    page.locator("#new-question").click()
    assert ask("With those without a country?", 1).locator("figure").count() == 0  # a null is no name
    page.locator("#new-question").click()
    expect(ask("Exact totals?", 1).locator("rect.bar")).to_have_count(2)
    page.locator("#new-question").click()
    many = ask("All?", 1)
    assert many.locator("tbody tr").count() == 200
    expect(many).to_contain_text("The table shows 200 of 1,000 rows.")
    expect(many).to_contain_text("The result has more rows; the server's limit cut them off.")
    page.locator("#new-question").click()
    page.keyboard.insert_text("Delete all")
    page.keyboard.press("Enter")
    expect(page.locator("#answers .alert")).to_have_text("The question asks to change data.")

    page.locator("#database-name").select_option("singers")
    assert page.locator("#answers article").count() == 0
    expect(page.locator("#tables")).to_have_text("Tables: singer")


def test_a_question_back_is_answered_with_a_button(page):
    page.get_by_role("tab", name="Ask a database").click()
    page.locator("#question").fill("Orders from Georgia?")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Do you mean country = 'Georgia' or state = 'Georgia'?")).to_be_visible()
    expect(page.locator(".choices button")).to_have_text(["1. country = 'Georgia'", "2. state = 'Georgia'"])
    assert page.evaluate("document.activeElement.textContent") == "1. country = 'Georgia'"
    page.get_by_role("button", name="2. state = 'Georgia'").click()
    expect(page.locator("#answers td")).to_have_text(["7"])
    expect(page.locator(".choices button").first).to_be_disabled()
    sent = [(body["question"], body["session"]) for body in page.asked_databases]
    assert sent == [("Orders from Georgia?", "new"), ("2", fake_databases.SESSION)]


def test_right_and_wrong_answers_are_remembered(page):
    page.get_by_role("tab", name="Ask a database").click()
    page.locator("#question").fill("Total of each country?")
    page.keyboard.press("Enter")
    remembered = {"database": "shop", "question": "Total of each country?"}
    page.get_by_role("button", name="Right").click()
    expect(page.get_by_text("Remembered")).to_be_visible()
    assert page.asked_databases[-1] == remembered | {"sql": fake_databases.SQL}
    page.get_by_role("button", name="New question").click()
    page.locator("#question").fill("Total of each country?")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Wrong").click()
    assert page.get_by_label("The right SQL").input_value() == fake_databases.SQL
    page.get_by_label("The right SQL").fill("SELECT 1")
    page.get_by_role("button", name="Remember this SQL").click()
    expect(page.get_by_text("Remembered")).to_be_visible()
    assert page.asked_databases[-1] == remembered | {"sql": "SELECT 1"}


def test_a_model_that_neither_infills_nor_chats_says_so(visitor, engine, monkeypatch):
    monkeypatch.setattr(engine.tokenizer, "infilling", None)
    page = visitor.open(build_app(Served(Service(engine), "tiny")))
    expect(page.get_by_role("tab", name="Ask a database")).to_be_hidden()
    expect(page.locator("#write-about")).to_contain_text("cannot infill")
    type_text(page, TEXT + "\nend")
    page.evaluate(f"document.getElementById('text').setSelectionRange({len(TEXT)}, {len(TEXT)})")
    page.keyboard.press("Control+Enter")
    params = SamplingParams(max_tokens=128, healing=True)
    assert written(page) == engine.answer([Request(TextPrompt(TEXT), params)])[0].text
    page.keyboard.press("Escape")
    page.get_by_role("tab", name="Chat").click()
    expect(page.locator("#chat-about")).to_contain_text("cannot chat")
    expect(page.locator("#message")).to_be_hidden()


def test_the_key_is_asked_for_once(visitor, chatting):
    page = visitor.open(build_app(Served(Service(chatting), "tiny"), Access("secret")))
    for key in ("wrong", "secret"):
        expect(page.locator("#key")).to_be_focused()
        page.keyboard.insert_text(key)
        page.keyboard.press("Enter")
        if key == "wrong":
            expect(page.locator("#key-label")).to_contain_text("refuses this API key")
    expect(page.locator("#model")).to_have_text("tiny")
    page.reload()
    expect(page.locator("#model")).to_have_text("tiny")
    expect(page.locator("#key-dialog")).to_be_hidden()
    assert page.evaluate("[localStorage.length, sessionStorage.getItem('chaku-key')]") == [0, "secret"]
    assert len(visitor.logged) == 2  # the browser logs the two refusals
    assert all("401" in text for text in visitor.logged)
    visitor.logged.clear()


def test_an_error_is_shown(page):
    body = json.dumps({"error": {"message": "too many requests wait; ask again in a moment"}})
    event = f"data: {body}\n\n"
    page.route("**/v1/completions", lambda route: route.fulfill(body=event, content_type="text/event-stream"))
    type_text(page, TEXT)
    page.keyboard.press("Control+Enter")
    expect(page.locator("#write-alert")).to_have_text("too many requests wait; ask again in a moment")
    assert text_of(page) == TEXT


def test_every_tab_has_contrast_and_fits(page):
    def check():
        for scheme in ("light", "dark"):
            for width in (1100, 360):
                page.emulate_media(color_scheme=scheme)
                page.set_viewport_size({"width": width, "height": 740})
                assert page.evaluate(PALE_TEXTS) == [], scheme
                assert page.evaluate("document.documentElement.scrollWidth") == width

    check()
    type_text(page, TEXT)
    page.keyboard.press("Control+Enter")
    written(page)
    page.keyboard.press("ArrowRight")
    check()
    page.get_by_role("tab", name="Chat").click()
    page.locator("#message").fill("def")
    page.keyboard.press("Enter")
    expect(page.locator("#talk")).not_to_have_attribute("aria-busy", "true")
    check()
    page.get_by_role("tab", name="Ask a database").click()
    for num, question in enumerate(("Total of each country?", "And each month?"), 1):
        page.locator("#question").fill(question)
        page.keyboard.press("Enter")
        expect(page.locator("#answers article .block")).to_have_count(num)
    check()
    page.locator("#new-question").click()
    page.locator("#question").fill("Delete all")
    page.keyboard.press("Enter")
    expect(page.locator("#answers .alert")).to_be_visible()
    check()
    page.evaluate("document.getElementById('key-dialog').showModal()")
    check()


def test_the_contrast_is_measured(page):
    page.evaluate("document.getElementById('status').style.color = '#999'")
    assert any("status" in pale for pale in page.evaluate(PALE_TEXTS))


@pytest.mark.parametrize("motion", ["reduce", "no-preference"])
def test_reduced_motion(page, motion):
    page.emulate_media(reduced_motion=motion)
    page.evaluate("document.getElementById('write-state').classList.add('writing')")
    animation = page.evaluate("getComputedStyle(document.getElementById('write-state'), '::after').animationName")
    assert animation == {"reduce": "none", "no-preference": "blink"}[motion]
