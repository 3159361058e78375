export function render({model, el}) {
  const head = document.createElement("div"), title = document.createElement("h2")
  const close = document.createElement("button")
  head.className = "head"
  title.textContent = "Kept runs"
  close.textContent = "✕"
  close.title = "Close"
  close.setAttribute("aria-label", "Close the kept runs")
  close.hidden = !model.closes
  close.addEventListener("click", () => model.send_msg({do: "close"}))
  head.append(title, close)
  const form = document.createElement("form"), name = document.createElement("input")
  const keep = document.createElement("button")
  name.type = "text"
  name.maxLength = 100
  name.setAttribute("aria-label", "Name")
  keep.textContent = "Keep this run"
  keep.className = "keep"
  keep.title = "Write the run as it stands into a file: its settings, its history, and the way to go on exactly"
  form.append(name, keep)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    model.send_msg({do: "keep", name: name.value})
    name.value = ""
  })
  const line = document.createElement("p"), words = document.createElement("span")
  const undo = document.createElement("button")
  line.setAttribute("role", "status")
  undo.type = "button"
  undo.textContent = "Undo"
  undo.className = "undo"
  undo.addEventListener("click", () => model.send_msg({do: "restore", id: model.undo}))
  line.append(words, undo)
  const say = () => {
    words.textContent = model.said
    line.hidden = !model.said
    line.classList.toggle("failed", model.failed)
    undo.hidden = !model.undo
  }
  const suggest = () => { name.placeholder = model.suggested }
  for (const part of ["said", "failed", "undo"]) { model.on(part, say) }
  model.on("suggested", suggest)
  say()
  suggest()
  el.append(head, form, line)
}
