"""Recent runs: what a user has left by going to another page, to be found again as it was."""

from collections.abc import Mapping
from typing import Any

from dashboard.state.store import Shown


class RecentRuns:
    """The last few stores that were left, by the queries of their links; older ones are closed.

    A store in here computes nothing.
    """

    MAX_RUNS = 3

    def __init__(self) -> None:
        self._stores: dict[frozenset, Shown] = {}

    def put(self, query: Mapping[str, Any], store: Shown) -> None:
        """Add a store that is left, under the query of its link."""
        before = self._stores.pop(frozenset(query.items()), None)
        if before is not None and before is not store:
            before.close()
        if store.study:
            store.study.cancel()
        self._stores[frozenset(query.items())] = store
        while len(self._stores) > self.MAX_RUNS:
            self._stores.pop(next(iter(self._stores))).close()

    def __contains__(self, query: Mapping[str, Any]) -> bool:
        return frozenset(query.items()) in self._stores

    def take(self, query: Mapping[str, Any]) -> Shown | None:
        """Remove and return the store that was left under this query; None where there is none."""
        return self._stores.pop(frozenset(query.items()), None)

    def close(self) -> None:
        """Close all of them."""
        while self._stores:
            self._stores.popitem()[1].close()
