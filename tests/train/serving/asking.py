"""How the tests of serving ask, and what they expect."""

import torch


def user(text):
    return [{"role": "user", "content": text}]


def ask(client, text="hi", **given):
    return client.chat.completions.create(model=given.pop("model", client.models.list().data[0].id), messages=user(text), **given)


def recomputed(model, tokens, temperature):
    """The logprob of each id of the completion, by one pass over all of them."""
    with torch.no_grad():
        logits = model.eval()(input_ids=torch.tensor([[*tokens.prompt_ids, *tokens.completion_ids]])).logits[0]
    first = len(tokens.prompt_ids) - 1
    table = (logits[first:-1] / temperature).log_softmax(-1)
    return [table[place, one].item() for place, one in enumerate(tokens.completion_ids)]
