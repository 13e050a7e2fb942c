"""What each of two processes runs: three steps with weights that FSDP2 shards, compared with those of one process on the whole batch."""

import copy

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from codagent_train.policy.load import load_policy
from codagent_train.recipe.schema import read_recipe
from codagent_train.training.processes import exit_if_one_of_several

dist.init_process_group("gloo")
whole = load_policy(read_recipe("toy").policy, seed=0).model
shared = copy.deepcopy(whole)
mesh = init_device_mesh("cpu", (2,))
for layer in shared.model.layers:
    fully_shard(layer, mesh=mesh)
fully_shard(shared, mesh=mesh)
optimizers = [torch.optim.AdamW(model.parameters(), lr=1e-3) for model in (whole, shared)]
ids = torch.randint(0, whole.config.vocab_size, (4, 12), generator=torch.Generator().manual_seed(0))
mine = ids[2 * dist.get_rank() : 2 * dist.get_rank() + 2]
for _ in range(3):
    for model, rows, optimizer in ((whole, ids, optimizers[0]), (shared, mine, optimizers[1])):
        model(input_ids=rows, labels=rows).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
pairs = zip(whole.parameters(), shared.parameters(), strict=True)
largest = max((theirs.full_tensor() - ours).abs().max().item() for ours, theirs in pairs)
assert largest < 1e-5, largest
print(f"largest difference {largest:.1e}")
exit_if_one_of_several()
