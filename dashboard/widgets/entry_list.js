export function render({model, el}) {
  const search = document.createElement("input"), list = document.createElement("nav")
  search.type = "search"
  search.placeholder = "Search entries"
  search.setAttribute("aria-label", "Search entries")
  list.setAttribute("aria-label", "Entries")
  let later
  search.addEventListener("input", () => {
    clearTimeout(later)
    later = setTimeout(() => model.send_msg({search: search.value}), 200)
  })
  const line = (kind, text) => Object.assign(document.createElement(kind), {textContent: text})
  const card = (entry) => {
    const link = document.createElement("a")
    link.href = `?page=journal&entry=${encodeURIComponent(entry.id)}`
    link.dataset.id = entry.id
    link.append(line("b", entry.title || "Untitled"), line("small", entry.about))
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
      event.preventDefault()
      model.send_msg({open: entry.id})
    })
    return link
  }
  const mark = () => {
    for (const link of list.querySelectorAll("a")) {
      link.ariaCurrent = link.dataset.id === model.shown ? "page" : null
    }
  }
  // What has the keyboard keeps it when the list is written anew, as it is after every save.
  const fill = () => {
    const held = el.getRootNode().activeElement?.dataset?.id
    list.replaceChildren(...model.entries.map(card))
    if (!model.entries.length) { list.append(line("p", model.none)) }
    mark()
    if (held) { [...list.children].find((link) => link.dataset.id === held)?.focus() }
  }
  fill()
  model.on("entries", fill)
  model.on("none", fill)
  model.on("shown", mark)
  el.append(search, list)
}
