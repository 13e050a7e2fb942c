"""Load the policy: the weights that are trained, and their tokenizer."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent_train.environments import keycode
from codagent_train.environments.make import find_vocabulary
from codagent_train.environments.vocabulary import Vocabulary
from codagent_train.files import refuse_unreadable
from codagent_train.policy.lora import read_lora_config
from codagent_train.policy.tokenizer import ChatTokenizer, Tokenizer
from codagent_train.recipe import schema
from codagent_train.run_dir.weights_ref import is_adapter

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


def load_policy(config: schema.PolicyConfig, *, seed: int, vocabulary: Vocabulary | None = None) -> Policy:
    """Load the weights that a recipe names, and choose which of them are trained.

    `seed` and `vocabulary` are for weights that are drawn at random. None: the model knows the words of keycode.

    Raises UsageError when they cannot be loaded or have no chat template.
    """
    import torch

    torch.set_num_threads(config.threads)
    torch.manual_seed(seed)
    policy = make_tiny(vocabulary) if config.weights == schema.RANDOM else load_pretrained(config)
    if config.layers and not config.lora_rank:
        policy.model.requires_grad_(False)
        policy.model.get_decoder().layers[-config.layers :].requires_grad_(True)
    return policy


def make_tiny(vocabulary: Vocabulary | None = None) -> Policy:
    """Make a model of two layers with random weights that knows only the words of a vocabulary; None: those of keycode.

    The weights are drawn with a larger spread than usual (0.1 in place of 0.02), so that the model can tell the words apart from the start.
    """
    from tokenizers import Tokenizer as Words
    from tokenizers.models import WordLevel
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    known = vocabulary.words if vocabulary else keycode.VOCABULARY
    ids, padding = {word: number for number, word in enumerate(known)}, known[-1]
    config = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=128 if vocabulary else 64,
        initializer_range=0.1,
        tie_word_embeddings=vocabulary is not None,  # a word that was read can be quoted from the start
        bos_token_id=None,
        eos_token_id=ids[padding],
        pad_token_id=None,
    )
    words = Words(WordLevel(ids, unk_token=padding))
    processor = PreTrainedTokenizerFast(tokenizer_object=words, pad_token=padding, eos_token=padding)
    ends = vocabulary.ends if vocabulary else frozenset({ids[padding]})
    return Policy(LlamaForCausalLM(config), vocabulary or keycode, processor, ends)


def load_pretrained(config: schema.PolicyConfig) -> Policy:
    """Load a model from a folder or from the hub; for the folder of an adapter, its base with the adapter on it.

    The weights are float32 on a CPU and bfloat16 on a GPU. Raises UsageError when they cannot be loaded or have no chat template.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if config.device == "cuda" else torch.float32  # most CPUs compute far more slowly in bfloat16
    kind = "folder" if os.path.lexists(config.weights) else "model"
    with refuse_unreadable(f"the {kind} {config.weights} cannot be loaded", "see `codagent-train import`"):
        if is_adapter(Path(config.weights)):
            read_lora_config(Path(config.weights))  # transformers would load parts of an adapter that this refuses
        processor = AutoTokenizer.from_pretrained(config.weights, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(config.weights, dtype=dtype, trust_remote_code=False)
    if vocabulary := find_vocabulary(processor.get_vocab()):
        return Policy(model, vocabulary, processor, vocabulary.ends)
    if not processor.chat_template:
        raise UsageError(f"the tokenizer of {config.weights} has no chat template; take an instruction-tuned model")
    if processor.pad_token_id is None:
        processor.pad_token = processor.eos_token
    ends = model.generation_config.eos_token_id
    ends = set(ends) if isinstance(ends, list) else {ends}
    return Policy(model, ChatTokenizer(processor), processor, frozenset(ends | {processor.eos_token_id}) - {None})


def make_lora_config(config: schema.PolicyConfig, model: Any) -> Any:
    """Return the settings of the LoRA adapter that is trained; None when the recipe trains the weights themselves."""
    from peft import LoraConfig

    if not config.lora_rank:
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
