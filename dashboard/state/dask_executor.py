"""A Dask cluster as an executor of `concurrent.futures`, for maps that are too large for one machine.

Only this module imports `distributed`, and only once a cluster is asked for.
"""

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from distributed import Client

VARIABLE = "DESCENT_LAB_SCHEDULER"
"""The environment variable that names the scheduler, such as tcp://host:8786."""

TIMEOUT_S = 5.0
"""How long to wait for a scheduler to answer."""

COUNT_INTERVAL_S = 2.0
"""How often the workers are counted."""


class DaskExecutor(Executor):
    """Sends each call to a cluster as one task; what a lost worker was doing, the scheduler gives to another.

    Once the scheduler is gone, calls under way are cancelled and new ones raise BrokenExecutor: a `Sweep` then goes on
    with processes of this machine.

    Attributes:
        client: The connection, shared by all of this process.
        address: Of the scheduler.
        dashboard: Of its own page, empty if it has none.
    """

    def __init__(self, client: "Client") -> None:
        self.client, self.address, self.dashboard = client, _address(client), client.dashboard_link or ""
        self._tasks = client.get_executor(pure=False)
        self._threads, self._counted = sum(client.nthreads().values()), time.monotonic()

    @property
    def alive(self) -> bool:
        """Whether the scheduler answers."""
        return self.client.status == "running"

    @property
    def workers(self) -> int:
        """How many calls the cluster works on at a time, as counted lately; 1 if nobody is there yet."""
        if self.alive and time.monotonic() - self._counted > COUNT_INTERVAL_S:
            self._counted = time.monotonic()
            self.client.loop.add_callback(self._count)
        return max(1, self._threads)

    def submit(self, function: Callable[..., Any], /, *arguments: Any, **named: Any) -> Future[Any]:
        """One task. Raises BrokenExecutor when the scheduler is gone."""
        if not self.alive:
            raise BrokenExecutor(f"the scheduler at {self.address} does not answer any more")
        try:
            return self._tasks.submit(function, *arguments, **named)
        except Exception as error:  # it may have gone a moment ago; whatever the client raises then, it is gone
            if self.alive:
                raise
            raise BrokenExecutor(f"the scheduler at {self.address} does not answer any more") from error

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Cancel what was sent, or wait for it; the client stays, for others use it too."""
        if self.alive:
            self._tasks.shutdown(wait=wait and not cancel_futures)

    async def _count(self) -> None:
        """On the client's own loop, so that nobody waits for the scheduler."""
        try:
            self._threads = sum((await self.client.scheduler.ncores()).values())
        except (OSError, AttributeError):  # gone, or going
            self._threads = 0


def cluster(scheduler: "str | Client | None" = None) -> DaskExecutor | None:
    """The cluster of a scheduler's address or of a client; without either, the one that DESCENT_LAB_SCHEDULER names.

    There is one client per process and address. None where no cluster is named: maps are computed on this machine.
    Raises ConnectionError if there is no scheduler at the address, and ImportError without `distributed`; both say what
    to do.
    """
    scheduler = scheduler or os.environ.get(VARIABLE, "").strip()
    if not scheduler:
        return None
    return DaskExecutor(_client(scheduler) if isinstance(scheduler, str) else scheduler)


_CLIENTS: dict[str, "Client"] = {}
_CONNECTING = threading.Lock()


def _client(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError as error:
        raise ImportError("a cluster needs the package distributed: pip install 'descent-lab[dask]'") from error
    with _CONNECTING:
        client = _CLIENTS.get(address)
        if client is None or client.status != "running":
            try:
                client = _CLIENTS[address] = Client(address, timeout=TIMEOUT_S, set_as_default=False)
            except (OSError, ValueError) as error:
                raise ConnectionError(
                    f"no scheduler answers at {address}; start one with `dask scheduler`, or unset {VARIABLE}"
                ) from error
        return client


def _address(client: "Client") -> str:
    return str(client.scheduler.address) if client.scheduler is not None else "an address that is not known"
