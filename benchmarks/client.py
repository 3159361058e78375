"""A session without a browser, light enough for twenty of them beside the server.

It speaks Bokeh's protocol over a real websocket, paints nothing, and answers every frame at once as the page's Browser
does: `shown` follows `frame`.
"""

import asyncio
import json
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.websocket import WebSocketClosedError, websocket_connect

READY = {
    "kind": "MessageSent",
    "msg_type": "bokeh_event",
    "msg_data": {"type": "event", "name": "document_ready", "values": {"type": "map"}},
}
BIGGEST = 2**28

Matches = Callable[[str], bool]


@dataclass(frozen=True)
class Arrival:
    """A frame: when its message was there, and its size in bytes and in parts."""

    time: float
    bytes: int
    parts: int


class Client:
    """One session: `open` it, `press` keys, `set` controls, `answer` waits for what comes of it."""

    def __init__(self, address: str, query: str = "?page=playground") -> None:
        self._address, self._query = address, query
        self.arrivals: list[Arrival] = []
        self._awaited: tuple[Matches, asyncio.Future] | None = None
        self._sent = 0

    async def open(self) -> "Client":
        """Fetch the page, connect, and take the document as a browser would."""
        began = time.perf_counter()
        page = await AsyncHTTPClient().fetch(f"http://{self._address}/dashboard{self._query}", request_timeout=120)
        self.page_seconds = time.perf_counter() - began
        token = re.search(r'"token":"([^"]+)"', page.body.decode())
        if token is None:
            raise RuntimeError(f"the page of {self._address} holds no session; look at the server's log")
        request = HTTPRequest(f"ws://{self._address}/dashboard/ws{self._query}", request_timeout=120)
        self._socket = await websocket_connect(request, subprotocols=["bokeh", token[1]], max_message_size=BIGGEST)
        await self._receive()
        await self._send("PULL-DOC-REQ", {})
        document, _, self.document_bytes = await self._receive()
        self._document = json.loads(document)
        self._models = _models(self._document)
        self._browser = next(i for i, (name, _) in self._models.items() if re.fullmatch(r"Browser\d*", name))
        self._host = self._owner(self._browser)
        await self._change(READY)
        self._listener = asyncio.create_task(self._listen())
        return self

    async def close(self) -> None:
        """Leave, as by closing the tab."""
        self._socket.close()
        with suppress(ConnectionError, TimeoutError, WebSocketClosedError, asyncio.CancelledError):
            await asyncio.wait_for(self._listener, 5)

    async def press(self, key: str) -> None:
        """Press a key, by the name that the page's Browser gives it."""
        await self._happen("data_event", {"model": {"id": self._host}, "data": key})

    async def click(self, label: str) -> None:
        """Click the button of that label, which has to be there."""
        button = next(i for i, (_, found) in self._models.items() if found.get("label") == label)
        owner = {"id": self._owner(button)}
        data = {"type": "map", "entries": [["type", "click"]]}
        await self._happen("dom_event", {"model": owner, "node": "click", "data": data})

    def control(self, label: str) -> tuple[str, dict[str, Any]]:
        """The widget of that label: its id, and what it was when the page was opened.

        Raises:
            KeyError: Naming the labels there are.
        """
        labelled = {a["label"]: (i, a) for i, (_, a) in self._models.items() if "label" in a and "value" in a}
        if label not in labelled:
            raise KeyError(f"no control is called {label!r}; there are {', '.join(labelled)}")
        return labelled[label]

    async def set(self, label: str, value: Any) -> None:
        """Move the control of that label."""
        await self._change(
            {"kind": "ModelChanged", "model": {"id": self.control(label)[0]}, "attr": "value", "new": value}
        )

    async def answer(self, matches: Matches, seconds: float = 20) -> float:
        """Wait for a message whose text matches; the time at which it was there.

        Raises TimeoutError where none comes.
        """
        arrived = asyncio.get_running_loop().create_future()
        self._awaited = matches, arrived
        try:
            return await asyncio.wait_for(arrived, seconds)
        finally:
            self._awaited = None

    async def _listen(self) -> None:
        while True:
            content, parts, size = await self._receive()
            now = time.perf_counter()
            for event in json.loads(content).get("events", ()) if f'"{self._browser}"' in content else ():
                if event.get("attr") == "frame" and event["model"]["id"] == self._browser:
                    self.arrivals.append(Arrival(now, size, parts))
                    await self._change({**event, "attr": "shown"})
            if self._awaited and not self._awaited[1].done() and self._awaited[0](content):
                self._awaited[1].set_result(now)

    async def _receive(self) -> tuple[str, int, int]:
        """A message's content, in how many parts it came, and their bytes."""
        header = await self._part()
        await self._part()
        content = await self._part()
        size, buffers = len(header) + len(content), json.loads(header).get("num_buffers", 0)
        for _ in range(2 * buffers):
            size += len(await self._part())
        return content, 3 + 2 * buffers, size

    async def _part(self) -> Any:
        part = await self._socket.read_message()
        if part is None:
            raise ConnectionError("the server closed the session")
        return part

    async def _change(self, event: dict[str, Any]) -> None:
        await self._send("PATCH-DOC", {"events": [event]})

    async def _happen(self, name: str, values: dict[str, Any]) -> None:
        """Tell the server of an event."""
        told = {"type": "event", "name": name, "values": {"type": "map", "entries": list(values.items())}}
        await self._change({"kind": "MessageSent", "msg_type": "bokeh_event", "msg_data": told})

    async def _send(self, kind: str, content: dict[str, Any]) -> None:
        self._sent += 1
        for part in ({"msgid": str(self._sent), "msgtype": kind}, {}, content):
            self._socket.write_message(json.dumps(part))

    def _owner(self, data: str) -> str:
        """The id of the component whose data has that id."""
        for one in _objects(self._document):
            inner = one.get("attributes", {}).get("data")
            if isinstance(inner, dict) and inner.get("id") == data:
                return one["id"]
        raise RuntimeError(f"{data} is no component's data on the page")


def _models(document: Any) -> dict[str, tuple[str, dict[str, Any]]]:
    """Every model of a document by its id: its class's name and what is set in it."""
    return {one["id"]: (one["name"], one.get("attributes", {})) for one in _objects(document)}


def _objects(part: Any) -> list[dict[str, Any]]:
    found, left = [], [part]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if one.get("type") == "object" and "id" in one:
                found.append(one)
            left += one.values()
        elif isinstance(one, list):
            left += one
    return found
