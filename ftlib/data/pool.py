"""The same work on many rows, in as many processes as there are cores."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Any

from ftlib import machine
from ftlib.data.table import batched

LEAST_ROWS = 20_000  # below, starting processes takes longer than they save


def mapped(make: Callable[[], Callable[[list], Any]], items: Iterable[Any], count: int) -> Iterator[Any]:
    """What a function says of batches of (about `count`) items, one result a batch, in their order.

    `make` makes the function, once in each process; what it holds can be pickled.
    """
    processes = machine.cpu_cores() if count >= LEAST_ROWS else 1
    if processes == 1:
        work = make()
        yield from (work(batch) for batch in batched(items))
        return
    from joblib import Parallel, delayed

    maker = pickle.dumps(make)
    with Parallel(processes, return_as="generator", pre_dispatch="2*n_jobs", batch_size=1) as pool:
        # In bytes, for joblib's own pickler looks at every object with Python code: five times slower.
        for done in pool(delayed(_worked)(maker, pickle.dumps(batch)) for batch in batched(items)):
            yield pickle.loads(done)


def _worked(maker: bytes, batch: bytes) -> bytes:
    return pickle.dumps(_made(maker)(pickle.loads(batch)))


@lru_cache(maxsize=2)
def _made(maker: bytes) -> Callable[[list], Any]:
    return pickle.loads(maker)()  # from this program's own parent process
