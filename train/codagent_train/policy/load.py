"""Load the policy: the weights that are trained, and their tokenizer."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from codagent.errors import UsageError
from codagent_train.environments import keycode
from codagent_train.environments.make import find_vocabulary
from codagent_train.environments.vocabulary import Vocabulary
from codagent_train.files import refuse_unreadable
from codagent_train.policy.lora import read_lora_config
from codagent_train.policy.tokenizer import ChatTokenizer, Tokenizer
from codagent_train.recipe import schema
from codagent_train.run_dir.weights_ref import is_adapter, name_base, read_rank

MOST_WORDS = 128  # that a small model reads and writes at a time
_NO_THINKING = "{%- set enable_thinking = false -%}"  # the name that the chat templates of Qwen3 and others know
_LINEAR = "all-linear"  # peft leaves out the output layer


@dataclass(frozen=True, slots=True)
class Policy:
    """A model with its tokenizer."""

    model: Any  # a causal language model of transformers
    tokenizer: Tokenizer
    processor: Any  # the tokenizer as transformers has it; it is saved beside the weights
    ends: frozenset[int]  # the ids that end a reply

    @property
    def pad(self) -> int:
        """The id that fills up short sequences of a batch."""
        return int(self.processor.pad_token_id)


def load_policy(config: schema.PolicyConfig, *, seed: int, vocabulary: Vocabulary | None = None, to_train: bool = False) -> Policy:
    """Load the weights that a recipe names, and choose which of them are trained.

    `seed` and `vocabulary` are for weights that are drawn at random. None: the model knows the words of keycode. `to_train` says that the
    weights will be trained, which matters for their type on a GPU.

    Raises UsageError when they cannot be loaded or have no chat template.
    """
    import torch

    torch.set_num_threads(config.threads)
    torch.manual_seed(seed)
    policy = (
        (make_small(vocabulary) if vocabulary else make_tiny())
        if config.weights == schema.RANDOM
        else load_pretrained(config, to_train=to_train)
    )
    if config.layers and not config.lora_rank:
        policy.model.requires_grad_(False)
        policy.model.get_decoder().layers[-config.layers :].requires_grad_(True)
    return policy


def _open_adapter(base: Any, config: schema.PolicyConfig) -> Any:
    """Put the adapter that a recipe begins with on its base, to train it on. Its layers are those that it has.

    Raises UsageError when it has another rank than the recipe.
    """
    from peft import PeftModel

    folder = Path(config.weights)
    if (rank := read_rank(folder)) != config.lora_rank:
        raise UsageError(f"the adapter {folder} has the rank {rank}, and the recipe {config.lora_rank}; set lora_rank = {rank} in [policy]")
    return PeftModel.from_pretrained(base, folder, is_trainable=True)


def make_small(vocabulary: Vocabulary) -> Policy:
    """Make a model of two layers with random weights, in the shape of GPT-2, that knows only the words of a vocabulary."""
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        vocab_size=len(vocabulary.words),
        n_positions=MOST_WORDS,
        n_embd=64,
        n_layer=2,
        n_head=4,
        activation_function="relu",
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=len(vocabulary.words) - 1,
        pad_token_id=None,
    )
    return Policy(GPT2LMHeadModel(config), vocabulary, _make_processor(vocabulary.words), vocabulary.ends)


def make_tiny() -> Policy:
    """Make a model of two layers with random weights that knows the words of keycode.

    The weights are drawn with a larger spread than usual (0.1 in place of 0.02), so that the model can tell the words apart from the start.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    nothing = keycode.VOCABULARY.index(keycode.NOTHING)
    config = LlamaConfig(
        vocab_size=len(keycode.VOCABULARY),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=nothing,
        pad_token_id=None,
    )
    return Policy(LlamaForCausalLM(config), keycode, _make_processor(keycode.VOCABULARY), frozenset({nothing}))


def _make_processor(words: Sequence[str]) -> Any:
    """Make a tokenizer of transformers for these words. The last one fills up short sequences."""
    from tokenizers import Tokenizer as Words
    from tokenizers.models import WordLevel
    from transformers import PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate(words)}
    return PreTrainedTokenizerFast(tokenizer_object=Words(WordLevel(ids, unk_token=words[-1])), pad_token=words[-1], eos_token=words[-1])


def can_find_hub() -> bool:
    """Whether the host of the hub has an address, or a proxy may know one."""
    from huggingface_hub import constants

    host = urlsplit(constants.ENDPOINT).hostname
    try:
        return bool(getproxies() or socket.getaddrinfo(host, None))
    except OSError:
        return False


def load_pretrained(config: schema.PolicyConfig, *, to_train: bool = False, tokenizer_only: bool = False) -> Policy:
    """Load a model from a folder or from the hub; for the folder of an adapter, its base with the adapter on it.

    `tokenizer_only`: the policy's `model` is None, for engines that hold the weights elsewhere.
    Raises UsageError when they cannot be loaded or have no chat template.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

    dtype = choose_dtype(config, to_train=to_train)
    kind = "folder" if os.path.lexists(config.weights) else "model"
    with refuse_unreadable(f"the {kind} {config.weights} cannot be loaded", "see `codagent-train import`"):
        if is_adapter(Path(config.weights)):
            read_lora_config(Path(config.weights))  # transformers would load parts of an adapter that this refuses
        # without a network, the library would try for a minute
        settings = {"trust_remote_code": False, "local_files_only": kind == "model" and not can_find_hub()}
        processor = AutoTokenizer.from_pretrained(config.weights, **settings)
        if tokenizer_only:
            generation = GenerationConfig.from_pretrained(name_base(config.weights), local_files_only=settings["local_files_only"])
            model = None
        else:
            goes_on = to_train and config.lora_rank and is_adapter(Path(config.weights))
            place = name_base(config.weights) if goes_on else config.weights
            model = AutoModelForCausalLM.from_pretrained(place, dtype=dtype, **settings)
            generation = model.generation_config
            model = _open_adapter(model, config) if goes_on else model
    if vocabulary := find_vocabulary(processor.get_vocab()):
        return Policy(model, vocabulary, processor, vocabulary.ends)
    if not processor.chat_template:
        raise UsageError(f"the tokenizer of {config.weights} has no chat template; take an instruction-tuned model")
    if not config.enable_thinking:  # so that whoever uses this tokenizer, or the copy in a checkpoint, asks in the same way
        processor.chat_template = processor.chat_template.removeprefix(_NO_THINKING)
        processor.chat_template = f"{_NO_THINKING}{_make_append_only(processor)}"
    if processor.pad_token_id is None:
        processor.pad_token = processor.eos_token
    ends = generation.eos_token_id
    ends = set(ends) if isinstance(ends, list) else {ends}
    return Policy(model, ChatTokenizer(processor), processor, frozenset(ends | {processor.eos_token_id}) - {None})


def _make_append_only(processor: Any) -> str:
    """Return the chat template of a tokenizer, in the variant of trl that shows an earlier reply as it was asked for, where trl has one.

    Qwen3's own template leaves the empty thought out of earlier replies. Then no prompt of an attempt begins with the prompt and the reply
    before it: each turn is read anew, and trained as a sample of its own. trl's marks for SFT, unknown to llama.cpp, are taken out.
    """
    from trl.chat_template_utils import get_training_chat_template

    try:
        variant = get_training_chat_template(processor)
    except ValueError:  # a template that trl does not know
        variant = None
    return re.sub(r"\{%-? *(?:end)?generation *-?%\}", "", variant or processor.chat_template)


def choose_dtype(config: schema.PolicyConfig, *, to_train: bool) -> Any:
    """Choose the type of the weights: float32 on a CPU, most of which compute far more slowly in bfloat16; bfloat16 on a GPU.

    Weights that are trained themselves are float32 everywhere: bfloat16 has 8 bits of precision, so a step of 1e-6 would change nothing.
    The GPU computes in bfloat16 all the same. With LoRA the weights are not trained, and the adapter is float32.
    """
    import torch

    return torch.bfloat16 if config.device == "cuda" and not (to_train and not config.lora_rank) else torch.float32


def make_lora_config(config: schema.PolicyConfig, model: Any) -> Any:
    """Return the settings of the LoRA adapter that is made; None when the recipe trains the weights themselves, or goes on with one."""
    from peft import LoraConfig, PeftModel

    if not config.lora_rank or isinstance(model, PeftModel):
        return None
    skipped = range(model.config.get_text_config().num_hidden_layers)[: -config.layers]  # empty when `layers` is 0: all layers are trained
    return LoraConfig(
        r=config.lora_rank,
        lora_alpha=2 * config.lora_rank,
        target_modules=_LINEAR,
        exclude_modules=rf".*\.layers\.({'|'.join(map(str, skipped))})\..*" if skipped else None,
        lora_dropout=0.0,  # with dropout, logprobs in training would differ from those in sampling
        task_type="CAUSAL_LM",
    )
