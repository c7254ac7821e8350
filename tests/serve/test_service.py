"""Requests share texts, wait, are refused and are cancelled; what is written is what the engine writes."""

import asyncio

import pytest

from chaku import ChakuError
from chaku.inference.generator import Request, SamplingParams, TextPrompt, TokenPrompt
from chaku.serve.service import BusyError, FailedError, Service, StoppingError

LONG = Request(TextPrompt("def"), SamplingParams(max_tokens=200))


async def whole(writing):
    return "".join([piece.text async for piece in writing])


def in_service(engine, work, **settings):
    """Run `work(service)` in an event loop of its own."""

    async def main():
        service = Service(engine, **settings)
        try:
            return await work(service)
        finally:
            await service.stop(1)

    return asyncio.run(main())


def test_texts_are_those_of_the_engine(engine):
    requests = [Request(TextPrompt(text), SamplingParams(40, seed=3, temperature=0.5)) for text in ("def", "x", "for")]

    async def work(service):
        return await asyncio.gather(*[whole(await service.ask(request)) for request in requests])

    assert in_service(engine, work) == [completion.text for completion in engine.answer(requests)]


def test_equal_requests_share_a_text(engine):
    async def work(service):
        writings = [await service.ask(LONG) for _ in range(3)]
        texts = await asyncio.gather(*map(whole, writings))
        assert len(set(texts)) == 1
        assert len({id(writing.job) for writing in writings}) == 1
        assert service.totals.shared == 2

    in_service(engine, work)


def test_a_text_goes_on_until_its_last_reader_leaves(engine):
    async def work(service):
        first, second = await service.ask(LONG), await service.ask(LONG)
        await anext(aiter(first))
        first.close()
        assert not first.job.cancelled
        await anext(aiter(second))
        second.close()
        assert second.job.cancelled
        third = await service.ask(LONG)  # begins anew
        assert third.job is not first.job
        await whole(third)
        assert len(first.job.row.ids) < 200
        assert service.totals.cancelled == 1

    in_service(engine, work)


def test_a_full_queue_refuses(engine):
    async def work(service):
        waiting = [
            await service.ask(Request(TextPrompt("def"), SamplingParams(200, temperature=1.0, seed=seed)))
            for seed in range(3)
        ]
        with pytest.raises(BusyError):
            await service.ask(Request(TextPrompt("x"), SamplingParams(5)))
        assert service.totals.refused == 1
        for writing in waiting:
            writing.close()
        assert await whole(await service.ask(Request(TextPrompt("x"), SamplingParams(5))))

    in_service(engine, work, max_rows=2, max_waiting=1)


def test_too_long_a_prompt_is_refused_and_max_tokens_fits_the_context(engine):
    async def work(service):
        with pytest.raises(ChakuError, match="the model reads at most 255"):
            await service.ask(Request(TextPrompt("x " * 500), SamplingParams(5)))
        writing = await service.ask(Request(TextPrompt("def"), SamplingParams(10_000)))
        await whole(writing)
        assert len(writing.job.row.prompt) + len(writing.job.row.ids) <= 256

    in_service(engine, work)


def test_a_failure_of_the_model_ends_the_texts_and_not_the_service(engine, monkeypatch, capsys):
    async def work(service):
        writing = await service.ask(LONG)
        await anext(aiter(writing))
        decoder = type(service._scheduler.decoder)
        forward = decoder.forward
        monkeypatch.setattr(decoder, "forward", lambda self, spans: 1 / 0)
        with pytest.raises(FailedError, match="the model failed; ask again"):
            await whole(writing)
        monkeypatch.setattr(decoder, "forward", forward)
        assert await whole(await service.ask(LONG))
        assert service.totals.failures == 1

    in_service(engine, work)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_stopping_waits_for_texts_and_takes_no_more(engine):
    async def main():
        service = Service(engine)
        writing = await service.ask(LONG)
        stopping = asyncio.create_task(service.stop(30))
        await asyncio.sleep(0)
        with pytest.raises(StoppingError):
            await service.ask(LONG)
        text = await whole(writing)
        await stopping
        assert text == engine.answer([LONG])[0].text

    asyncio.run(main())


def test_requests_whose_prompts_are_read_are_in_the_queue_too(engine):
    async def work(service):
        asking = [service.ask(Request(TextPrompt(f"def f{number}"), SamplingParams(5))) for number in range(20)]
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert sum(isinstance(answer, BusyError) for answer in answers) == 17

    in_service(engine, work, max_rows=2, max_waiting=1)


def test_a_request_whose_prompt_is_read_is_written_before_the_end(engine):
    async def main():
        service = Service(engine)
        asking = asyncio.create_task(service.ask(LONG))
        await asyncio.sleep(0)
        stopping = asyncio.create_task(service.stop(30))
        assert await whole(await asking) == engine.answer([LONG])[0].text
        await stopping

    asyncio.run(asyncio.wait_for(main(), 30))


def test_nobody_waits_for_a_text_after_the_end(engine):
    async def main():
        service = Service(engine)
        writing = await service.ask(Request(TextPrompt("def"), SamplingParams(200, temperature=1.0)))
        await service.stop(0)
        with pytest.raises(FailedError, match="the server has stopped"):
            await whole(writing)

    asyncio.run(asyncio.wait_for(main(), 30))


def test_after_a_failure_the_cache_has_the_same_memory_and_no_text_counts_as_cancelled(engine, monkeypatch, capsys):
    async def work(service):
        blocks, decoder = service.cache_use[1], service._scheduler.decoder
        monkeypatch.setattr(type(engine.decoder), "with_blocks", lambda *_: 1 / 0)  # there is no room for another one
        with monkeypatch.context() as failing:
            failing.setattr(decoder, "forward", lambda spans: 1 / 0)
            with pytest.raises(FailedError):
                await whole(await service.ask(LONG))
        assert await whole(await service.ask(LONG)) == engine.answer([LONG])[0].text
        assert service.cache_use[1] == blocks
        assert service.totals.cancelled == 0

    engine.answer([LONG])  # its own scheduler is there
    in_service(engine, lambda service: asyncio.wait_for(work(service), 30))


def test_equal_ids_with_different_beginnings_share_no_text(engine):
    """The text after an empty prompt begins a text, and loses the space that SentencePiece puts there."""

    async def work(service):
        empty = Request(TextPrompt(""), SamplingParams(100))
        ids = engine.read(empty).ids
        texts = [await service.ask(empty), await service.ask(Request(TokenPrompt(ids), SamplingParams(100)))]
        assert texts[0].job is not texts[1].job
        for text in texts:
            text.close()

    in_service(engine, work)


def test_samples_of_a_prompt_read_it_once(engine, monkeypatch):
    read, prompts = type(engine).read, []

    def count(self, request):
        prompts.append(request.prompt)
        return read(self, request)

    async def work(service):
        for text in ("def", "x"):
            for sample in range(3):
                request = Request(TextPrompt(text), SamplingParams(5, temperature=1.0), sample)
                await whole(await service.ask(request))

    monkeypatch.setattr(type(engine), "read", count)
    in_service(engine, work)
    assert prompts == [TextPrompt("def"), TextPrompt("x")]
