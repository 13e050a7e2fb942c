"""What a run will take, worked out by hand, and what cannot fit."""

from dataclasses import replace
from math import ceil

import pytest
from msgspec import structs

from codagent.errors import UsageError
from codagent_train.data.records.row_lengths import RowLengths
from codagent_train.policy.size.config_size import require_size
from codagent_train.policy.size.model_size import TINY, ModelSize
from codagent_train.recipe.schema import BatchConfig, SourcesConfig, read_recipe
from codagent_train.run_dir import checkpoints
from codagent_train.training import estimate, hardware
from codagent_train.training.step_work import EpisodeLength, estimate_episode, estimate_work

TOY = read_recipe("toy")
SMALL = ModelSize(1000, ((10, 10), (30, 10)), hidden=10, layers=1, vocabulary=100, cached=8, beside=50)
HUGE = replace(SMALL, parameters=10**15)


def adapted(given, rank):
    return structs.replace(given, policy=structs.replace(given.policy, lora_rank=rank))


def test_an_episode_is_read_again_in_every_turn_and_learned_from_once():
    # 100, then 100 + 5 + 20, then 100 + 2 * 25
    assert estimate_episode(prompt=100, state=20, reply=5, turns=3, room=1000) == EpisodeLength(100 + 125 + 150, 15, 155)


def test_no_request_takes_more_than_the_room_leaves():
    assert estimate_episode(prompt=100, state=20, reply=5, turns=3, room=120) == EpisodeLength(100 + 115 + 115, 15, 120)


def test_the_tokens_of_a_step_of_the_toy():
    found = estimate_work(structs.replace(TOY, batch=BatchConfig(packs=2, group_size=3, microbatches=2)))
    # a loop: four guesses of 2 tokens and one; three notes of the same, each asked for twice, the second time with the first answer
    assert (found.loops, found.longest) == (6, 4)
    assert (found.read, found.written) == (6 * (4 * 2 + 3 * (2 + 3)), 6 * (4 + 3 * 2))
    assert (found.trained, found.microbatch) == (6 * (4 * 3 + 3 * 4), 6 * (4 * 3 + 3 * 4) // 2)


def test_a_real_environment_takes_longer_and_half_the_turns_about_half_of_it():
    smoke = read_recipe("smoke")
    about, most = estimate_work(smoke, share=0.5), estimate_work(smoke)
    assert 100 < about.longest < most.longest < smoke.replies.context_tokens
    assert 0.4 < about.trained / most.trained < 0.7


def test_packs_of_records_take_the_rows_that_are_there():
    mixed = structs.replace(
        TOY, sources=SourcesConfig(play=1, replay=2, imitate=1), batch=BatchConfig(packs=2, group_size=4, microbatches=2)
    )
    all_play = estimate_work(structs.replace(mixed, sources=SourcesConfig(play=1)))
    found = estimate_work(mixed, recorded=RowLengths(per_loop=1000, longest=1500))
    assert (found.read, found.written) == (ceil(all_play.read / 4), ceil(all_play.written / 4))
    assert found.trained == ceil(all_play.trained / 4 + 8 * 1000 * 3 / 4)
    assert (found.longest, found.microbatch) == (min(1500, mixed.replies.context_tokens), max(found.longest, ceil(found.trained / 2)))
    only = structs.replace(mixed, sources=SourcesConfig(play=0, imitate=1))
    found = estimate_work(only, recorded=RowLengths(per_loop=1000, longest=1500))
    assert (found.read, found.written, found.trained) == (0, 0, 8000)


def test_what_a_teacher_plays_is_learned_from_and_not_sampled():
    all_play, found = (estimate_work(structs.replace(TOY, sources=SourcesConfig(play=1 - shown, lessons=shown))) for shown in (0, 1))
    assert (found.read, found.written, found.trained) == (0, 0, all_play.trained)


def test_the_time_counts_the_layers_that_learn_and_the_type_that_is_computed_with(monkeypatch):
    asked = []
    monkeypatch.setattr(hardware, "measure_speed", lambda _device, dtype, _threads, rows: asked.append((dtype, rows)) or 1000.0)
    deep = ModelSize(10**6, ((10, 10),) * 4, hidden=10, layers=4, vocabulary=100, cached=8, beside=50)
    work = replace(estimate_work(TOY), read=0, written=0, trained=100)  # without replies, the head has nothing to do
    times = {
        layers: estimate.estimate_seconds(structs.replace(TOY, policy=structs.replace(TOY.policy, layers=layers, bf16=True)), deep, work)
        for layers in (0, 1)
    }
    assert times == {0: 4 * 100 * 6 * 100 / 1000, 1: 4 * 100 * 3 * 100 / 1000}
    replied = estimate.estimate_seconds(
        structs.replace(TOY, policy=structs.replace(TOY.policy, bf16=True)), deep, replace(work, written=10)
    )
    assert replied == times[0] + 1000 * 6 * 10 / 1000 + (400 + 1000) * 2 * 10 / 1000
    assert {dtype for dtype, _ in asked} == {"bfloat16"}


def test_all_parameters_have_a_gradient_and_two_moments():
    found = estimate.estimate_memory(TOY, SMALL, estimate_work(TOY))
    assert (found.weights, found.gradients, found.optimizer) == (4000, 4000, 8000)
    assert estimate.checkpoint_bytes(TOY, SMALL) == 3 * 4000 + 50


def test_layers_that_are_not_trained_have_neither():
    deep = replace(SMALL, linears=SMALL.linears * 4, layers=4)
    upper = structs.replace(TOY, policy=structs.replace(TOY.policy, layers=1))
    found = estimate.estimate_memory(upper, deep, estimate_work(TOY))
    assert (found.weights, found.gradients, found.optimizer) == (4000, 4 * 400, 8 * 400)
    assert estimate.checkpoint_bytes(upper, deep) == 4000 + 8 * 400 + 50
    assert estimate.count_trained_parameters(deep, adapted(upper, 2).policy) == 2 * (20 + 40)


def test_of_an_adapter_only_its_own_parameters_have():
    lora = adapted(TOY, 2)
    found = estimate.estimate_memory(lora, SMALL, estimate_work(TOY))
    assert estimate.count_trained_parameters(SMALL, lora.policy) == 2 * (20 + 40)
    assert (found.weights, found.gradients, found.optimizer) == (4000, 480, 960)
    assert estimate.checkpoint_bytes(lora, SMALL) == 3 * 480 + 50


def test_more_parts_take_less_memory_and_a_server_that_plays_takes_none_of_it():
    whole, parted = (
        estimate.estimate_memory(given, SMALL, estimate_work(given))
        for given in (TOY, structs.replace(TOY, batch=BatchConfig(16, 8, microbatches=8)))
    )
    assert parted.learning == pytest.approx(whole.learning / 8)
    served = structs.replace(TOY, engine=structs.replace(TOY.engine, name="vllm"))
    assert estimate.estimate_memory(served, SMALL, estimate_work(served)).playing == 0 < whole.playing


def test_what_cannot_fit_into_the_memory_is_refused_with_the_numbers_and_what_helps(tmp_path):
    with pytest.raises(UsageError, match=r"about 16,000,0\d\d\.\d GB of memory, and [\d.,]+ GB are free: weights .*a `lora_rank`"):
        estimate.check_fits(TOY, HUGE, tmp_path)
    with pytest.raises(UsageError, match="take more `microbatches`"):
        estimate.check_fits(TOY, replace(SMALL, linears=((10**9, 10**3),)), tmp_path)


def test_what_cannot_fit_onto_the_disk_is_refused_with_the_numbers(tmp_path):
    with pytest.raises(UsageError, match=r"checkpoints take 3 times 1,000,000\.0 GB, and [\d.,]+ GB are free at"):
        estimate.check_fits(TOY, replace(SMALL, beside=10**15), tmp_path)


def test_checkpoints_that_are_there_need_no_more_room(tmp_path):
    for step in (1, 2, 3):
        assert checkpoints.count_to_come(tmp_path) == max(1, 4 - step)
        (tmp_path / f"checkpoint-{step}").mkdir()
    assert checkpoints.count_to_come(tmp_path) == 1


def test_what_ships_for_a_cpu_fits_onto_small_machines():
    assert estimate.estimate_memory(TOY, TINY, estimate_work(TOY)).total < 1e9


def test_a_folder_that_is_not_there_yet_has_the_room_of_the_one_that_is(tmp_path):
    assert hardware.free_disk(tmp_path / "runs" / "toy") == pytest.approx(hardware.free_disk(tmp_path), rel=0.01)


def test_weights_that_are_not_here_are_named():
    with pytest.raises(UsageError, match="the weights nobody/has-this are not on this machine"):
        require_size("nobody/has-this")
