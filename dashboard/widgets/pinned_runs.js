export function render({model, el}) {
  const row = document.createElement("div"), menu = document.createElement("select")
  menu.setAttribute("aria-label", "Pin a run")
  menu.addEventListener("change", () => {
    if (menu.value) { model.send_msg({pin: menu.value}) }
    menu.value = ""
  })
  const chip = (pin) => {
    const [box, link, off] = ["span", "a", "button"].map((kind) => document.createElement(kind))
    link.textContent = pin.label
    link.href = pin.link
    link.addEventListener("click", (event) => {
      const apart = event.ctrlKey || event.metaKey || event.shiftKey || event.button
      if (apart || pin.gone || pin.link !== `?run=${pin.run}`) { return }
      event.preventDefault()
      model.send_msg({open: pin.run})
    })
    link.title = pin.gone ? "This run is not among the kept ones any more" : "Open this run as it was kept"
    box.classList.toggle("gone", pin.gone)
    off.type = "button"
    off.textContent = "×"
    off.title = "Take this run off the entry"
    off.setAttribute("aria-label", `Take ${pin.label} off`)
    off.addEventListener("click", () => model.send_msg({remove: pin.run}))
    box.append(link, off)
    return box
  }
  const option = (value, text) => Object.assign(document.createElement("option"), {value, textContent: text})
  const fill = () => {
    const pinned = new Set(model.pins.map((pin) => pin.run))
    const others = model.runs.filter((run) => !pinned.has(run.id))
    menu.replaceChildren(option("", "Pin a run …"), ...others.map((run) => option(run.id, run.label)))
    menu.disabled = !others.length
    menu.title = others.length ? "Pin a kept run to this entry" : "Keep a run first: then it can be pinned here"
    row.replaceChildren(...model.pins.map(chip), menu)
  }
  fill()
  model.on("pins", fill)
  model.on("runs", fill)
  el.append(row)
}
