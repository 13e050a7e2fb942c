"""A tiny chat model that speaks in whole phrases, one token each: it samples for real, and a few steps of training show."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

MARKS = ("<system>", "<user>", "<assistant>", "<end>", "<other>")
TEMPLATE = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"


def phrasebook(folder: Path, phrases: Sequence[str], *, read: Sequence[str] = (), seed: int = 0) -> Path:
    """The folder, with a two-layer model of random weights and its tokenizer. Any of the `phrases` ends a reply; others are `read` only,
    and all that is none of either is one word to it."""
    import torch
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    ids = {phrase: at for at, phrase in enumerate((*phrases, *read, *MARKS))}
    words = Tokenizer(models.WordLevel(ids, "<other>"))
    longest = sorted((*phrases, *read), key=len, reverse=True)
    words.pre_tokenizer = pre_tokenizers.Split(Regex("|".join(map(re.escape, longest))), "isolated")
    words.decoder = decoders.Fuse()
    processor = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token="<end>", unk_token="<other>", additional_special_tokens=list(MARKS)
    )
    processor.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(processor),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32_768,
        initializer_range=0.1,
        eos_token_id=processor.eos_token_id,
        bos_token_id=None,
        pad_token_id=None,
    )
    model = LlamaForCausalLM(config)
    model.generation_config.eos_token_id = [*range(len(phrases)), processor.eos_token_id]
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
