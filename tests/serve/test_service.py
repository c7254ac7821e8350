"""Requests share texts, wait, are refused and are cancelled; what is written is what the engine writes."""

import asyncio

import pytest

from chaku import ChakuError
from chaku.inference.generator import Request, SamplingParams, TextPrompt
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
