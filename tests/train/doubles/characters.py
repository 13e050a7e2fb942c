"""A model of two layers that reads and writes characters, for what needs a folder of weights with a chat template."""

from __future__ import annotations

from pathlib import Path
from string import printable
from typing import Any

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CONTEXT_TOKENS = 4096
TEMPLATE = (
    "{% for t in tools or [] %}<tool>{{ t.function.name }}{% endfor %}"
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
MARKS = ["<system>", "<user>", "<assistant>", "<tool>", "<end>", "<none>"]
CALL = '<tool_call>{"name": "say", "arguments": {"word": "hi"}}</tool_call>'
TOOLS = [{"type": "function", "function": {"name": "say", "description": "", "parameters": {"type": "object", "properties": {}}}}]


def made() -> tuple[Any, Any]:
    """The model, always the same, and its tokenizer."""
    torch.manual_seed(0)
    words = Tokenizer(models.WordLevel({character: at for at, character in enumerate(printable)} | {"<none>": len(printable)}, "<none>"))
    words.pre_tokenizer = pre_tokenizers.Split(Regex("[\\s\\S]"), "isolated")
    words.decoder = decoders.Fuse()
    processor = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", unk_token="<none>", additional_special_tokens=MARKS)
    processor.chat_template = TEMPLATE
    config = LlamaConfig(
        vocab_size=len(processor),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT_TOKENS,
        eos_token_id=processor.eos_token_id,
        bos_token_id=None,
    )
    return LlamaForCausalLM(config), processor


def save_caller(path: Path) -> Path:
    """One that answers "hi" with a call where it is offered a tool."""
    model, processor = made()
    asked = processor.apply_chat_template([{"role": "user", "content": "hi"}], tools=TOOLS, add_generation_prompt=True, return_dict=False)
    ids = torch.tensor([[*asked, *processor.encode(CALL), processor.eos_token_id]])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(150):
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return save(model, processor, path)


def save(model: Any, processor: Any, path: Path) -> Path:
    model.save_pretrained(path)
    processor.save_pretrained(path)
    return path
