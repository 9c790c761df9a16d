import subprocess
import sys

import pytest

from common.label.worker import RefusedError, Worker

GREEDY = """
import sys
from common.label.worker import limit_memory
import numpy as np
limit_memory(float(sys.argv[1]))
try:
    np.ones(2**28)
except MemoryError:
    sys.exit(3)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits of memory")
@pytest.mark.parametrize(("gib", "status"), [(1.5, 3), (8, 0)])
def test_a_process_gets_no_more_memory_than_its_limit(gib, status):
    assert subprocess.run([sys.executable, "-c", GREEDY, str(gib)], check=False).returncode == status


def test_a_request_does_not_wait_for_ever_for_its_turn(tmp_path):
    worker = Worker({}, seconds=0.01, memory_gib=1)
    with worker._turn, pytest.raises(RefusedError, match="before this one") as refused:
        worker.infer("a", tmp_path / "a", tmp_path, 0, {})
    assert refused.value.status == 503
