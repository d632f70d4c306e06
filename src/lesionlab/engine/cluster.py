"""Work on a Dask cluster: one that runs already, or processes of this machine."""

import logging
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from lesionlab.core.errors import OptionError

logger = logging.getLogger(__name__)

Result = TypeVar("Result")

_LOCAL = "local:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered(Generic[Result]):
    """What became of several pieces of work.

    Attributes:
        results: Of those that were finished, by name, in the order in which they were given.
        failures: Why the others were not, by name.
    """

    results: dict[str, Result]
    failures: dict[str, str]


def check_cluster(where: str) -> None:
    """Refuse what is no cluster before any work begins.

    Raises:
        OptionError: Dask is not installed, or `where` is neither "local:NUMBER" nor an address.
    """
    count = where.removeprefix(_LOCAL)
    is_local = where.startswith(_LOCAL) and count.isdigit() and int(count) > 0
    if not is_local and "://" not in where:
        raise OptionError(
            "local:NUMBER of processes, or the address of a Dask scheduler",
            found=repr(where),
            where="--cluster",
            next_step="write --cluster local:2, or --cluster tcp://HOST:8786",
        )
    _distributed()


def gather(jobs: Mapping[str, Callable[[], Result]], *, where: str) -> Gathered[Result]:
    """Do pieces of work on a cluster, each in one process at a time; one that fails stops no other.

    Args:
        jobs: What to call, by name; it and its result are pickled. The paths in it must lie where all workers see them.
        where: "local:NUMBER" begins as many processes here, which share its cores and end with the work; anything else
            is the address of a scheduler.

    Raises:
        OptionError: There is no such cluster.
    """
    check_cluster(where)
    distributed = _distributed()
    results: dict[str, Result] = {}
    failures: dict[str, str] = {}
    with ExitStack() as stack:
        client = _connect(where, stack)
        futures = {client.submit(job, pure=False, retries=0): name for name, job in jobs.items()}
        for future in distributed.as_completed(futures):
            name, error = futures[future], future.exception()
            if error is None:
                results[name] = future.result()
                logger.info("%s: finished", name)
            else:
                failures[name] = str(error) or type(error).__name__
                logger.warning("%s: failed: %s", name, failures[name])
    return Gathered(results={name: results[name] for name in jobs if name in results}, failures=failures)


def _connect(where: str, stack: ExitStack) -> Any:
    """Return a client whose workers do one piece of work each at a time; it is closed with the stack."""
    distributed = _distributed()
    if not where.startswith(_LOCAL):
        return stack.enter_context(_client(where))
    import dask

    count = int(where.removeprefix(_LOCAL))
    threads = max(1, (os.cpu_count() or 1) // count)
    settings = {
        "distributed.worker.daemon": False,  # else it could not begin processes that prepare samples
        "distributed.nanny.pre-spawn-environ.OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads)),
    }
    stack.enter_context(dask.config.set(settings))
    cluster = distributed.LocalCluster(
        n_workers=count, threads_per_worker=1, memory_limit=0, dashboard_address=None, silence_logs=logging.ERROR
    )
    stack.enter_context(cluster)
    return stack.enter_context(distributed.Client(cluster))


def _client(address: str) -> Any:
    try:
        return _distributed().Client(address, timeout="20s")
    except (OSError, ValueError) as error:
        raise OptionError(
            "a Dask scheduler",
            found=str(error).splitlines()[0],
            where=f"--cluster {address}",
            next_step="start one (dask scheduler, dask worker), or write --cluster local:2",
        ) from error


def _distributed() -> Any:
    try:
        import distributed
    except ImportError as error:
        raise OptionError(
            "Dask, which shares work among processes",
            found="it is not installed",
            where="--cluster",
            next_step="pip install 'lesionlab[cluster]'",
        ) from error
    return distributed
