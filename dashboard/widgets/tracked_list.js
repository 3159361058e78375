export function render({model, el}) {
  const make = (kind, name, text) => {
    const made = document.createElement(kind)
    if (name) { made.className = name }
    if (text) { made.textContent = text }
    return made
  }
  let opened = false
  const list = make("div", "list"), said = make("p", "said"), how = make("details", "how")
  list.setAttribute("role", "group")
  list.setAttribute("aria-label", "Trainings")
  said.setAttribute("aria-live", "polite")
  const summary = make("summary", "", "How to watch a training of your own"), box = make("div", "box")
  const code = make("pre", "", model.code), copy = make("button", "copy", "Copy")
  const other = make("p", "", "It appears here within a second. For a PyTorch module, watch(\"my run\", " +
    "module=model) reads gradients and activations by itself; for this laboratory's own engine, " +
    "for epoch in observe(train(network, data)) shows every picture.")
  copy.title = "Copy these lines"
  copy.addEventListener("click", () => {
    const done = () => { copy.textContent = "Copied"; setTimeout(() => { copy.textContent = "Copy" }, 1500) }
    const select = () => { getSelection().selectAllChildren(code); document.execCommand("copy"); done() }
    navigator.clipboard ? navigator.clipboard.writeText(model.code).then(done, select) : select()
  })
  summary.addEventListener("click", () => { opened = !how.open })
  box.append(code, copy, other)
  how.append(summary, box)
  const entry = () => {
    const made = make("button", "run-log")
    made.append(make("i"), make("b"), make("span", "words"), make("span", "detail"))
    made.addEventListener("click", () => model.send_msg(made.dataset.id))
    return made
  }
  const newest = make("button", "newest", "Always the newest")
  newest.title = "Show the newest training, and the next one as soon as it begins"
  newest.addEventListener("click", () => model.send_msg(model.following ? model.chosen : ""))
  const draw = () => {
    newest.hidden = !model.items.length
    if (newest.parentNode !== list) { list.prepend(newest) }
    while (list.children.length - 1 > model.items.length) { list.lastChild.remove() }
    model.items.forEach((item, place) => {
      const made = list.children[place + 1] ?? list.appendChild(entry())
      const [dot, name, words, detail] = made.children
      made.dataset.id = item.id
      made.dataset.state = dot.className = item.state
      name.textContent = item.name
      words.textContent = item.words
      detail.textContent = item.detail
      made.title = `${item.name}: ${item.words}, began ${item.began}`
    })
    how.open = opened || !model.items.length
    mark()
  }
  const mark = () => {
    newest.setAttribute("aria-pressed", String(model.following))
    for (const made of list.children) {
      if (made.dataset.id) { made.setAttribute("aria-pressed", String(made.dataset.id === model.chosen)) }
    }
    said.textContent = model.said
    said.hidden = !model.said
  }
  draw()
  model.on("items", draw)
  model.on("chosen", mark)
  model.on("following", mark)
  model.on("said", mark)
  el.append(list, said, how)
}
