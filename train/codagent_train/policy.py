"""The policy: the weights that are trained, and how requests and replies become ids for it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codagent.errors import UsageError
from codagent.types import Message
from codagent_train import recipe
from codagent_train.engines import Ids
from codagent_train.environments import keycode
from codagent_train.folder import refuse_unreadable
from codagent_train.rollout import Tokenizer

_LINEAR = "all-linear"  # all but the head, which peft leaves out of this


@dataclass(frozen=True, slots=True)
class Policy:
    """`processor` is the tokenizer as transformers has it, for what saves it beside the weights; `ends` are the ids that end a reply."""

    model: Any
    tokenizer: Tokenizer
    processor: Any
    ends: frozenset[int]

    @property
    def pad(self) -> int:
        return int(self.processor.pad_token_id)


def load(setting: recipe.Policy, *, seed: int) -> Policy:
    """The weights of a recipe, or of a checkpoint. UsageError when there are none that can hold a conversation."""
    import torch

    torch.set_num_threads(setting.threads)
    torch.manual_seed(seed)
    policy = tiny() if setting.weights == recipe.RANDOM else pretrained(setting)
    if setting.layers and not setting.lora_rank:
        policy.model.requires_grad_(False)
        policy.model.get_decoder().layers[-setting.layers :].requires_grad_(True)
    return policy


def tiny() -> Policy:
    """Two layers with random weights, for the words of keycode. They are drawn wide, so that the words can be told apart from the start."""
    from tokenizers import Tokenizer as Words
    from tokenizers.models import WordLevel
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    ids = {word: number for number, word in enumerate(keycode.VOCABULARY)}
    config = LlamaConfig(
        vocab_size=len(ids),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=64,
        initializer_range=0.1,
        bos_token_id=None,
        eos_token_id=ids[keycode.NOTHING],
        pad_token_id=None,
    )
    words = Words(WordLevel(ids, unk_token=keycode.NOTHING))
    processor = PreTrainedTokenizerFast(tokenizer_object=words, pad_token=keycode.NOTHING, eos_token=keycode.NOTHING)
    return Policy(LlamaForCausalLM(config), keycode, processor, frozenset({ids[keycode.NOTHING]}))


def pretrained(setting: recipe.Policy) -> Policy:
    """A model out of a folder or from the hub; where that holds an adapter, its base with the adapter on it."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    dtype = torch.bfloat16 if setting.device == "cuda" else torch.float32  # on most CPUs bf16 is slower by far
    from codagent_train.serve_adapter import lora
    from codagent_train.serve_source import is_adapter

    kind = "folder" if os.path.lexists(setting.weights) else "model"
    with refuse_unreadable(f"the {kind} {setting.weights} cannot be loaded", "see `codagent-train import`"):
        if is_adapter(Path(setting.weights)):
            lora(Path(setting.weights))  # refuses what transformers would load in part
        processor = AutoTokenizer.from_pretrained(setting.weights, trust_remote_code=False)
        model = AutoModelForCausalLM.from_pretrained(setting.weights, dtype=dtype, trust_remote_code=False)
    if not processor.chat_template:
        raise UsageError(f"the tokenizer of {setting.weights} has no chat template; take an instruction-tuned model")
    if processor.pad_token_id is None:
        processor.pad_token = processor.eos_token
    ends = model.generation_config.eos_token_id
    ends = set(ends) if isinstance(ends, list) else {ends}
    return Policy(model, Chat(processor), processor, frozenset(ends | {processor.eos_token_id}) - {None})


def adapter(setting: recipe.Policy, model: Any) -> Any:
    """The LoRA adapter that is trained in place of the weights; None to train these."""
    from peft import LoraConfig

    if not setting.lora_rank:
        return None
    bare = range(model.config.get_text_config().num_hidden_layers)[: -setting.layers]  # none where `layers` is 0
    return LoraConfig(
        r=setting.lora_rank,
        lora_alpha=2 * setting.lora_rank,
        target_modules=_LINEAR,
        exclude_modules=rf".*\.layers\.({'|'.join(map(str, bare))})\..*" if bare else None,
        lora_dropout=0.0,  # else the logprobs of training would differ from those of sampling
        task_type="CAUSAL_LM",
    )


class Chat:
    """A Tokenizer by the chat template of a model."""

    def __init__(self, processor: Any) -> None:
        self._processor = processor

    def encode(self, messages: Sequence[Message], /) -> Ids:
        chat = [{"role": message.role, "content": message.content} for message in messages]
        return tuple(self._processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=True, return_dict=False))

    def written(self, text: str, /) -> Ids:
        """The ids of a whole reply."""
        return (*self._processor.encode(text, add_special_tokens=False), int(self._processor.eos_token_id))

    def decode(self, ids: Sequence[int], /) -> str:
        return str(self._processor.decode(ids, skip_special_tokens=True))
