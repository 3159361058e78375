"""A place to drop a file on, or to choose one. Files are uploaded in pieces, so that a large one holds up nobody."""

from collections.abc import Callable
from typing import Any, ClassVar

import param
from panel.custom import JSComponent


class FileDrop(JSComponent):
    """Takes files from a user, one after the other, and passes each one on as a whole.

    The browser sends a piece, waits until the server has it, and sends the next: other users' frames go between.
    """

    words = param.String(default="Drop a file here, or choose one", doc="What stands in it.")
    endings = param.String(default="", doc="Of files that can be chosen, such as .csv,.txt; of those dropped, any.")
    largest = param.Integer(default=100 * 2**20, doc="The most bytes of a file.")

    PIECE: ClassVar[int] = 2**20

    _esm = """
    export function render({model, el}) {
      const place = document.createElement("label"), input = document.createElement("input")
      const icon = document.createElement("span"), words = document.createElement("span")
      input.type = "file"
      input.multiple = true
      input.accept = model.endings
      icon.textContent = "⇪"
      icon.setAttribute("aria-hidden", "true")
      place.append(input, icon, words)
      place.title = "The file stays on this server"
      const rest = () => { words.textContent = model.words; place.style.setProperty("--share", "0%") }
      const tell = (file, share) => {
        words.textContent = `${file.name}: ${Math.round(100 * share)} %`
        place.style.setProperty("--share", `${100 * share}%`)
      }
      let heard = () => {}
      model.on("msg:custom", (message) => heard(message))
      const answer = () => new Promise((resolve) => { heard = resolve })
      const send = async (file) => {
        if (file.size > model.largest) {
          model.send_msg({name: file.name, size: file.size, start: -1})
          return
        }
        for (let start = 0; start == 0 || start < file.size; start += PIECE) {
          tell(file, start / Math.max(1, file.size))
          const data = await file.slice(start, start + PIECE).arrayBuffer()
          const answered = answer()
          model.send_msg({name: file.name, size: file.size, start, data})
          if ((await answered).stop) { return }
        }
      }
      let sending = Promise.resolve()
      const take = (files) => {
        for (const file of files) {
          const failed = () => model.send_msg({name: file.name, size: 0, start: -2})
          sending = sending.then(() => send(file)).catch(failed).then(rest)
        }
      }
      input.addEventListener("change", () => { take([...input.files]); input.value = "" })
      place.addEventListener("dragover", () => place.classList.add("over"))
      place.addEventListener("dragleave", () => place.classList.remove("over"))
      place.addEventListener("drop", (event) => {
        event.preventDefault()
        place.classList.remove("over")
        take([...event.dataTransfer.files])
      })
      // A file that misses the place would otherwise take the page's.
      const miss = (event) => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault() } }
      window.addEventListener("dragover", miss)
      window.addEventListener("drop", miss)
      model.on("remove", () => {
        window.removeEventListener("dragover", miss)
        window.removeEventListener("drop", miss)
      })
      model.on("words", rest)
      rest()
      el.append(place)
    }
    """.replace("PIECE", str(PIECE))
    _stylesheets: ClassVar[list[str]] = [
        """
        label { display: flex; align-items: center; justify-content: center; gap: 8px; padding: 12px; cursor: pointer;
          font-size: 13px; text-align: center; border-radius: 10px; overflow-wrap: anywhere; box-sizing: border-box;
          border: 1.5px dashed color-mix(in srgb, currentColor 35%, transparent);
          background: linear-gradient(to right, #3b5bdb33 var(--share), transparent var(--share)); }
        label:hover, label.over, label:focus-within { border-color: #5c7cfa; }
        label:focus-within { outline: 2px solid #5c7cfa; outline-offset: 2px; }
        label.over { background: #5c7cfa22; }
        input { position: absolute; opacity: 0; width: 1px; height: 1px; }
        """
    ]

    def __init__(self, received: Callable[[str, bytes], None], refused: Callable[[str], None], **params: Any) -> None:
        """Start without a file.

        Args:
            received: Called with a file's name and content.
            refused: Called with a sentence on why there is none.
            **params: As for any component.
        """
        super().__init__(**{"sizing_mode": "stretch_width", "margin": 0, **params})
        self._received, self._refused = received, refused
        self._name, self._content = "", bytearray()

    def _handle_msg(self, msg: Any) -> None:
        name, size, start = str(msg["name"])[:200], int(msg["size"]), int(msg["start"])
        if start < 0 or not self._take(name, size, start, msg["data"]):
            self._content = bytearray()
            self._refused(self._why(name, size, start))
            self._send_msg({"stop": True})
        elif len(self._content) < size:
            self._send_msg({"stop": False})
        else:
            content, self._content = bytes(self._content), bytearray()
            self._received(name, content)
            self._send_msg({"stop": False})

    def _take(self, name: str, size: int, start: int, piece: bytes) -> bool:
        """Add a piece, if it is the next one."""
        if start == 0:
            self._name, self._content = name, bytearray()
        if name != self._name or start != len(self._content) or start + len(piece) > min(size, self.largest):
            return False
        self._content += piece
        return True

    def _why(self, name: str, size: int, start: int) -> str:
        if start != -2 and size > self.largest:
            return (
                f"“{name}” is too large: it has {size / 2**20:,.0f} MiB, and {self.largest // 2**20} MiB are the most."
            )
        return f"“{name}” could not be read. If it is a folder, choose the files in it; else try again."
