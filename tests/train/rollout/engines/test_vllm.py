"""The engine of a vLLM server, against one that speaks its protocol."""

from pathlib import Path
from random import Random
from threading import Barrier

import pytest

from codagent.errors import ContextOverflow, ModelError
from codagent.types import Sampling, Tokens
from codagent_train.rollout.engines.factory import hash_adapter
from codagent_train.rollout.engines.vllm import VllmEngine
from tests.train.doubles.vllm_double import BASE, HANG_UP, refusal, serve

END = 3
PROMPTS = [(4, 6), (5, 1, 2, 0), (5,)]


def dice(folder, prompt, sampling):
    """Ids by adapter, prompt and seed; the last one ends the reply where there is room for it."""
    rng = Random(f"{folder} {prompt} {sampling.seed}")
    ids = [rng.choice((0, 1, 2)) for _ in range(rng.randint(1, sampling.max_tokens))]
    if len(ids) < sampling.max_tokens:
        ids.append(END)
    return Tokens(prompt, tuple(ids), tuple(-rng.random() for _ in ids))


def samplings(*seeds, max_tokens=6):
    return [Sampling(1.0, 1.0, 0, max_tokens, seed) for seed in seeds]


def engine(server, **settings):
    return VllmEngine(server.url, ends=frozenset({END, 9}), model=BASE, **settings)


def spoiled(change):
    """What an answer with another choice, or another model, is refused with."""
    with serve(dice) as server:
        server.faults["/v1/completions"] = [change]
        with pytest.raises(ModelError) as caught:
            engine(server).generate(PROMPTS[:1], samplings(1))
    return str(caught.value).removeprefix(f"endpoint {server.url} ")


def choosing(**changed):
    return spoiled(lambda answer: answer | {"choices": [answer["choices"][0] | changed]})


def test_each_prompt_has_the_ids_and_logprobs_that_the_server_sampled_for_it_and_its_seed():
    with serve(dice) as server:
        found = engine(server).generate(PROMPTS, samplings(1, 2, 3))
    assert found == [dice("", prompt, each) for prompt, each in zip(PROMPTS, samplings(1, 2, 3), strict=True)]


def test_a_request_asks_for_the_whole_distribution_whatever_the_server_is_set_to():
    with serve(dice) as server:
        engine(server).generate(PROMPTS[:1], [Sampling(0.5, 1.0, 0, 6, 2**56)])
    assert server.asked("/v1/completions") == [
        {
            "model": "base",
            "prompt": [4, 6],
            "max_tokens": 6,
            "temperature": 0.5,
            "seed": 2**56,
            "stop_token_ids": [3, 9],
            "top_p": 1.0,
            "top_k": -1,
            "min_p": 0.0,
            "repetition_penalty": 1.0,
            "presence_penalty": 0.0,
            "frequency_penalty": 0.0,
            "skip_special_tokens": False,
            "logprobs": 0,
            "return_token_ids": True,
        }
    ]


def test_prompts_are_asked_side_by_side():
    together = Barrier(12)

    def patient(folder, prompt, sampling):
        together.wait(timeout=250)
        return dice(folder, prompt, sampling)

    with serve(patient) as server:
        assert len(engine(server).generate([(4,)] * 12, samplings(*range(12)))) == 12


def test_replies_are_of_the_adapter_that_was_published_last_and_the_server_holds_no_other(tmp_path):
    with serve(dice) as server:
        served = VllmEngine(server.url, ends=frozenset({END}))
        for step in (0, 1):
            served.publish(tmp_path / str(step), f"run@{step}")
            assert server.adapters == {f"run@{step}": str(tmp_path / str(step))}
            assert served.generate(PROMPTS[:1], samplings(1)) == [dice(str(tmp_path / str(step)), PROMPTS[0], samplings(1)[0])]


def test_an_adapter_that_the_server_holds_already_needs_no_loading():
    with serve(dice) as server:
        server.adapters["run@4"] = "/there"
        served = VllmEngine(server.url, ends=frozenset({END}))
        served.publish(Path("/there"), "run@4")
        assert served.generate(PROMPTS[:1], samplings(1)) == [dice("/there", PROMPTS[0], samplings(1)[0])]


def test_adapters_that_differ_in_weights_or_scale_never_share_a_name(tmp_path):
    names = set()
    for config, weights in [(b"1", b"1"), (b"1", b"2"), (b"2", b"1"), (b"1", b"1")]:
        (tmp_path / "adapter_config.json").write_bytes(config)
        (tmp_path / "adapter_model.safetensors").write_bytes(weights)
        names.add(hash_adapter(tmp_path))
    assert len(names) == 3


@pytest.mark.parametrize("trouble", [404, 500, HANG_UP])
def test_an_adapter_that_the_server_has_lost_keeps_none_from_being_published(trouble):
    with serve(dice) as server:
        served = VllmEngine(server.url, ends=frozenset({END}))
        served.publish(Path("/one"), "run@1")
        server.faults["/v1/unload_lora_adapter"] = [trouble]
        served.publish(Path("/two"), "run@2")
        assert server.adapters["run@2"] == "/two"


def test_a_server_that_takes_no_adapters_is_told_how_it_would():
    with serve(dice) as server:
        server.updating = False
        with pytest.raises(ModelError, match=r"\(404\).*--enable-lora.*VLLM_ALLOW_RUNTIME_LORA_UPDATING=1"):
            VllmEngine(server.url, ends=frozenset({END})).publish(Path("/one"), "run@1")


def test_an_adapter_that_is_loaded_at_the_second_try_is_published():
    with serve(dice) as server:
        server.faults["/v1/load_lora_adapter"] = [HANG_UP, 500]
        VllmEngine(server.url, ends=frozenset({END})).publish(Path("/one"), "run@1")
        assert server.adapters == {"run@1": "/one"}


def test_what_fails_for_a_moment_is_asked_again():
    with serve(dice) as server:
        server.faults["/v1/completions"] = [500, HANG_UP, 503]
        assert engine(server).generate(PROMPTS[:1], samplings(1)) == [dice("", PROMPTS[0], samplings(1)[0])]
    assert len(server.requests) == 4


def test_what_keeps_failing_is_an_error_when_patience_is_over():
    with serve(dice) as server:
        server.faults["/v1/completions"] = [500] * 1000
        with pytest.raises(ModelError, match=r"keeps failing \(500\)"):
            engine(server, patience_s=0.3).generate(PROMPTS, samplings(1, 2, 3))


def test_a_prompt_that_is_too_long_for_the_server_is_an_overflow():
    def long(folder, prompt, sampling):
        raise AssertionError

    with serve(long) as server:
        words = "This model's maximum context length is 4096 tokens. However, your request has 5000 input tokens."
        server._completed = lambda body: (400, refusal(400, words, "BadRequestError"))
        with pytest.raises(ContextOverflow):
            engine(server).generate(PROMPTS[:1], samplings(1))


def test_a_reply_of_another_model_is_refused():
    assert spoiled(lambda answer: answer | {"model": "run@7"}) == (
        "answered with the model run@7, not base; ask it directly, without a router"
    )


def test_a_reply_without_ids_is_refused():
    assert choosing(token_ids=None) == "gives no token ids; take vLLM 0.10.2 or later"
    assert choosing(prompt_token_ids=None) == "gives no token ids; take vLLM 0.10.2 or later"


def test_a_reply_to_another_prompt_is_refused():
    assert choosing(prompt_token_ids=[6]).startswith("read 1 tokens, not the 2 that it was sent")


def test_a_reply_with_logprobs_missing_is_refused():
    ids = {"token_ids": [1, 2, END]}
    assert choosing(**ids, logprobs={"token_logprobs": [-1.0, -2.0]}).startswith("gave the logprobs of 2 of 3 tokens")
    assert choosing(**ids, logprobs={"token_logprobs": [-1.0, None, -2.0]}).startswith("gave the logprobs of 2 of 3 tokens")


def test_a_reply_that_the_server_ended_by_rules_of_its_own_is_refused():
    found = choosing(token_ids=[1, 2], logprobs={"token_logprobs": [-1.0, -2.0]})
    assert found == "ended a reply after 2 of 6 tokens with the id 2, which ends none; start it with --generation-config vllm"


def test_what_is_no_completion_is_refused():
    for answer in ({}, {"choices": []}, {"choices": [{}]}, {"choices": [{"logprobs": None}]}):
        assert spoiled(lambda _, answer=answer: answer) == "sent something that is not a completion; is it a vLLM server?"


def test_servers_share_the_requests_and_all_get_the_adapter(tmp_path):
    with serve(dice) as one, serve(dice) as two:
        shared = VllmEngine(one.url, two.url, ends=frozenset({END, 9}))
        shared.publish(tmp_path, "run@1")
        found = shared.generate(PROMPTS * 8, samplings(*range(24)))
    alone = [dice(str(tmp_path), prompt, each) for prompt, each in zip(PROMPTS * 8, samplings(*range(24)), strict=True)]
    assert found == alone
    loaded = [server.asked("/v1/load_lora_adapter") for server in (one, two)]
    assert loaded == [[{"lora_name": "run@1", "lora_path": str(tmp_path)}]] * 2
    counts = [len(server.asked("/v1/completions")) for server in (one, two)]
    assert sum(counts) == 24
    assert min(counts) > 0


def test_a_request_goes_to_the_server_with_the_fewest():
    engine = VllmEngine("http://127.0.0.1:1/v1", "http://127.0.0.1:2/v1", "http://127.0.0.1:3/v1", ends=frozenset({END}))
    with engine._least_busy() as first, engine._least_busy() as second, engine._least_busy() as third:
        assert len({first.url, second.url, third.url}) == 3
        with engine._least_busy() as fourth:
            assert fourth.url == first.url
    with engine._least_busy() as again:
        assert again.url == first.url
