import torch

from common.training import gather_with_gradient
from tests.common.training.two_processes import run_in_two_processes

WEIGHTS = torch.arange(1.0, 13.0).reshape(4, 3)


def weighted_sum(rank):
    local = (torch.arange(6.0).reshape(2, 3) + 10 * rank).requires_grad_()
    gathered = gather_with_gradient(local)
    (gathered * WEIGHTS).sum().backward()
    return {"gathered": gathered.detach(), "gradient": local.grad}


def test_one_process_gets_its_own_tensor_back():
    local = torch.ones(2, 3, requires_grad=True)
    assert gather_with_gradient(local) is local


def test_two_processes_see_both_batches_and_sum_their_gradients(tmp_path):
    results = run_in_two_processes(weighted_sum, tmp_path)
    whole = torch.cat([torch.arange(6.0).reshape(2, 3), torch.arange(6.0).reshape(2, 3) + 10])
    for rank, result in enumerate(results):
        torch.testing.assert_close(result["gathered"], whole)
        # Both processes weigh the same row, so its gradient arrives twice; DDP's mean halves it again.
        torch.testing.assert_close(result["gradient"], 2 * WEIGHTS[2 * rank : 2 * rank + 2])
