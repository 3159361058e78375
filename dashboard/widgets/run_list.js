import {filesOf, save} from "./download.js"

const make = (tag, name, words) => {
  const found = document.createElement(tag)
  found.className = name
  found.textContent = words ?? ""
  return found
}
// In a notebook there is no address that would open anything.
const served = () => Bokeh.documents.some((one) => one.roots().some((root) => root.class_name === "Page"))
// Clipboards are there for pages from this machine or over https only; else what is selected can be copied.
const copy = async (text, near) => {
  if (navigator.clipboard && window.isSecureContext) { return navigator.clipboard.writeText(text) }
  const area = make("textarea", "hidden")
  area.value = text
  near.append(area)
  area.select()
  const done = document.execCommand("copy")
  area.remove()
  if (!done) { prompt("The link to this run:", text) }
}

export function render({model, el}) {
  const list = make("ul", ""), empty = make("p", "empty"), rows = new Map()
  let requests = 0
  const send = (request) => {
    requests = Math.max(requests, model.answered) + 1
    model.send_msg({...request, number: requests})
    return requests
  }

  const file = filesOf(model)
  // What fails is said by the form above.
  const download = (id) => file(id).then(({blob, name}) => save(blob, name), () => {})

  const row = (id) => {
    const item = make("li", ""), top = make("div", "top"), acts = make("div", "acts")
    const name = make("input", "name"), about = make("p", "about")
    const beside = make("label", "beside"), box = make("input", ""), chip = make("span", "chip")
    item.dataset.id = id
    name.type = "text"
    name.maxLength = 100
    name.title = "Click to give it another name"
    name.addEventListener("change", () => { item.request = send({do: "rename", id, name: name.value}) })
    name.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { name.value = item.run.name; event.stopPropagation() }
      if (event.key === "Enter" || event.key === "Escape") { name.blur() }
    })
    box.type = "checkbox"
    box.addEventListener("change", () => { item.request = send({do: "beside", id, on: box.checked}) })
    beside.append(box, "Show beside")
    beside.title = "Show it beside the page's own run, at the same epoch"
    const act = (words, title, action) => {
      const button = make("button", "", words)
      button.title = title
      button.addEventListener("click", () => action(button))
      acts.append(button)
      return button
    }
    acts.append(beside)
    const buttons = [
      act("Open", "Go on with it, exactly where it was", () => send({do: "open", id})),
      act("Download", "One file, to keep elsewhere or to hand on", () => download(id)),
      ...(served() ? [act("Copy link", "A link that opens it", async (button) => {
        await copy(`${location.origin}${location.pathname}?run=${id}`, item)
        button.textContent = "Copied"
        setTimeout(() => { button.textContent = "Copy link" }, 1500)
      })] : []),
      act("Delete", "It can be had back", () => send({do: "delete", id})),
    ]
    top.append(chip, name)
    item.append(top, about, acts)
    item.follow = (run) => {
      item.run = run
      // What was changed stands until it is answered, and nobody's typing is taken away.
      const waits = item.request > model.answered
      if (!waits && el.getRootNode().activeElement !== name) { name.value = run.name }
      name.setAttribute("aria-label", `Name of ${run.called}`)
      about.textContent = run.about
      if (!waits) { box.checked = run.beside }
      box.setAttribute("aria-label", `Show ${run.called} beside`)
      chip.style.background = run.color || "transparent"
      item.classList.toggle("shown", run.beside)
      for (const button of buttons) { button.setAttribute("aria-label", `${button.textContent} ${run.called}`) }
    }
    return item
  }

  const follow = () => {
    const there = new Set(model.runs.map((run) => run.id))
    for (const [id, item] of rows) { if (!there.has(id)) { item.remove(); rows.delete(id) } }
    model.runs.forEach((run, place) => {
      if (!rows.has(run.id)) { rows.set(run.id, row(run.id)) }
      const item = rows.get(run.id)
      item.follow(run)
      if (list.children[place] !== item) { list.insertBefore(item, list.children[place] ?? null) }
    })
    empty.textContent = model.empty
    empty.hidden = there.size > 0
  }
  for (const part of ["runs", "empty", "answered"]) { model.on(part, follow) }
  follow()
  list.setAttribute("aria-label", "Kept runs")
  el.append(list, empty)
}
