import pytest
import torch.distributed as dist
from torch import nn

from common.training import bare_network, gather_rows, is_main_process


@pytest.fixture
def group_of_one(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path / 'store'}", rank=0, world_size=1)
    yield
    dist.destroy_process_group()


def test_without_processes_everything_is_here():
    rows, network = [{"case": "a"}], nn.Linear(1, 1)
    assert is_main_process() and gather_rows(rows) == rows and bare_network(network) is network


def test_a_group_gathers_rows_in_rank_order_and_unwraps_the_network(group_of_one):
    network = nn.Linear(1, 1)
    assert is_main_process()
    assert gather_rows([{"case": "a"}, {"case": "b"}]) == [{"case": "a"}, {"case": "b"}]
    assert bare_network(nn.parallel.DistributedDataParallel(network)) is network
