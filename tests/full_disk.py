"""A disk that is full: no file of this process may grow over a number of bytes."""

import resource
from contextlib import contextmanager


@contextmanager
def full_disk(limit=2000):
    """Refuse what is written beyond `limit` bytes of a file, inside the block; Python reports it as an OSError."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
