export function render({model, el}) {
  const chips = document.createElement("div"), mine = document.createElement("div")
  chips.className = "chips"; mine.className = "picked"
  const button = (text, title, message) => {
    const made = document.createElement("button")
    made.textContent = text; made.title = title
    made.addEventListener("click", () => model.send_msg(message))
    return made
  }
  let waiting
  const chip = (item) => {
    const made = document.createElement("button")
    made.append(document.createElement("i"), document.createElement("span"), document.createElement("b"))
    made.addEventListener("click", (event) => {
      clearTimeout(waiting)
      const act = event.detail > 1 ? "only" : "toggle"
      waiting = setTimeout(() => model.send_msg({act, label: item.label}), event.detail > 1 ? 0 : 220)
    })
    return made
  }
  const draw = () => {
    while (chips.children.length > model.items.length) { chips.lastChild.remove() }
    model.items.forEach((item, place) => {
      let made = chips.children[place]
      if (!made || made.dataset.label !== item.label) {
        const fresh = chip(item)
        made ? made.replaceWith(fresh) : chips.append(fresh)
        made = fresh
        made.dataset.label = item.label
      }
      const [line, name, value] = made.children
      line.style.background = item.color
      name.textContent = item.label
      value.textContent = item.value
      made.disabled = item.fixed
      made.title = item.fixed ? "the run on this page" : "click: hide or show; double click: show this one alone"
      made.setAttribute("aria-pressed", String(!item.hidden))
    })
  }
  const name = () => {
    mine.replaceChildren()
    if (!model.picked) { return }
    const words = document.createElement("span")
    words.textContent = model.picked
    mine.append(words, button("Watch this run", "Make it the run of this page", {act: "watch"}),
                button("×", "Pick none", {act: "clear"}))
  }
  draw(); name()
  model.on("items", draw)
  model.on("picked", name)
  el.append(chips, mine)
}
