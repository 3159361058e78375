export function render({model, el}) {
  const bar = document.createElement("div"), words = document.createElement("span")
  bar.append(words)
  words.setAttribute("role", "status")
  const button = (text, title) => {
    const made = document.createElement("button")
    made.type = "button"
    made.textContent = text
    made.title = title
    made.addEventListener("click", () => model.send_msg(text.toLowerCase()))
    bar.append(made)
    return made
  }
  const undo = button("Undo", "Take the last change of the points back (Ctrl+Z)")
  button("Clear", "Begin with an empty plane")
  const follow = () => {
    words.textContent = model.words
    words.classList.toggle("missing", model.missing)
    undo.disabled = !model.undoes
  }
  // Received before the page does, which would take back more.
  const receive = (event) => {
    const typing = event.composedPath()[0].matches?.("input:not([type=range], [type=checkbox]), textarea")
    const undoing = event.key === "z" && (event.ctrlKey || event.metaKey) && !event.shiftKey
    if (!undoing || typing || !model.undoes) { return }
    event.preventDefault()
    event.stopImmediatePropagation()
    model.send_msg("undo")
  }
  window.addEventListener("keydown", receive, true)
  model.on("remove", () => window.removeEventListener("keydown", receive, true))
  for (const part of ["words", "missing", "undoes"]) { model.on(part, follow) }
  follow()
  el.append(bar)
}
