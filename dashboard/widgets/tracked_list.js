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
  const MOST = 200
  const tools = make("div", "tools"), search = make("input", "search"), more = make("p", "more")
  const rest = make("button", "rest")
  search.type = "search"
  search.placeholder = "Search name, tag or config"
  search.setAttribute("aria-label", "Search trainings")
  const menu = (label, options) => {
    const found = make("select")
    found.setAttribute("aria-label", label)
    for (const [value, text] of options) {
      const option = make("option", "", text)
      option.value = value
      found.append(option)
    }
    found.addEventListener("change", () => draw())
    return found
  }
  const order = menu("Sort trainings", [["moment", "Newest first"], ["name", "By name"], ["loss", "Lowest loss"],
    ["epoch", "Most epochs"]])
  const groups = menu("Group trainings", [["", "Not grouped"], ["title", "By name"], ["tags", "By tag"]])
  search.addEventListener("input", () => draw())
  tools.append(search, order, groups)
  const rows = new Map(), heads = new Map()
  const entry = (id) => {
    const whole = make("div", "row"), made = make("button", "run-log"), label = make("label", "over")
    const box = make("input")
    box.type = "checkbox"
    label.title = "Draw its metrics over those of the training that is shown"
    label.append(box)
    made.append(make("i"), make("b"), make("span", "words"), make("span", "detail"), make("span", "tags"))
    made.dataset.id = id
    made.addEventListener("click", () => model.send_msg(id))
    box.addEventListener("change", () => model.send_msg({over: id}))
    whole.append(made, label)
    rows.set(id, whole)
    return whole
  }
  const head = (text) => {
    if (!heads.has(text)) { heads.set(text, make("h3", "", text)) }
    return heads.get(text)
  }
  const newest = make("button", "newest", "Always the newest")
  newest.title = "Show the newest training, and the next one as soon as it begins"
  newest.addEventListener("click", () => model.send_msg(model.following ? model.chosen : ""))
  const known = (value) => value === null || Number.isNaN(value) ? Infinity : value
  const orders = {
    moment: (a, b) => b.moment - a.moment,
    name: (a, b) => a.name.localeCompare(b.name, undefined, {numeric: true}),
    loss: (a, b) => known(a.loss) - known(b.loss),
    epoch: (a, b) => b.epoch - a.epoch,
  }
  const fill = (item) => {
    const whole = rows.get(item.id) ?? entry(item.id), [made, label] = whole.children
    const [dot, name, words, detail, tags] = made.children
    made.dataset.state = dot.className = item.state
    name.textContent = item.name
    words.textContent = item.words
    detail.textContent = item.detail
    tags.textContent = item.tags.join(" · ")
    tags.hidden = !item.tags.length
    made.title = [`${item.name}: ${item.words}, began ${item.began}`, ...item.config].join("\n")
    label.firstChild.setAttribute("aria-label", `Draw ${item.name} over the chosen one`)
    return whole
  }
  const draw = () => {
    const wanted = search.value.trim().toLowerCase().split(/\s+/).filter(Boolean)
    const fits = (item) => {
      const all = [item.name, item.words, ...item.tags, ...item.config].join("\n").toLowerCase()
      return wanted.every((word) => all.includes(word))
    }
    const found = model.items.filter(fits).sort(orders[order.value] ?? orders.moment)
    const shown = found.slice(0, MOST), parts = []
    if (groups.value) {
      const sorted = new Map()
      for (const item of shown) {
        const names = groups.value === "tags" ? item.tags : [item.title]
        for (const one of names.length ? names.slice(0, 1) : ["Without a tag"]) {
          sorted.set(one, [...(sorted.get(one) ?? []), item])
        }
      }
      for (const [text, some] of sorted) { parts.push(head(`${text} (${some.length})`), ...some.map(fill)) }
    } else {
      parts.push(...shown.map(fill))
    }
    newest.hidden = !model.items.length
    tools.hidden = model.items.length < 2
    const wants = [newest, ...parts]
    if (wants.length !== list.children.length || wants.some((part, place) => list.children[place] !== part)) {
      const focused = el.getRootNode().activeElement
      list.replaceChildren(...wants)
      if (focused && list.contains(focused)) { focused.focus({preventScroll: true}) }
    }
    const ids = new Set(model.items.map((item) => item.id))
    for (const id of rows.keys()) { if (!ids.has(id)) { rows.delete(id) } }
    const left = found.length - shown.length
    more.textContent = !model.items.length ? "" : !found.length ? "No training fits the search."
      : left ? `${left} more; search to find them.` : ""
    more.hidden = !more.textContent
    how.open = opened || !model.items.length
    mark()
  }
  let asked = false
  rest.addEventListener("click", () => {
    if (asked) { model.send_msg({delete: "old"}) }
    asked = !asked
    mark()
  })
  const mark = () => {
    newest.setAttribute("aria-pressed", String(model.following))
    for (const [id, whole] of rows) {
      const [made, label] = whole.children, color = model.over[id]
      made.setAttribute("aria-pressed", String(id === model.chosen))
      label.firstChild.checked = Boolean(color)
      label.style.accentColor = color ?? ""
      label.hidden = id === model.chosen || model.items.length < 2
    }
    rest.hidden = !model.many
    rest.textContent = asked ? `Really delete ${model.many} runs for good?` : `Delete the ${model.many} oldest runs that have ended`
    said.textContent = model.said
    said.hidden = !model.said
  }
  // Another tab shows that there is something to look at; in a notebook the title is not ours.
  const title = document.title.replace(/^\(\d+\) /, "")
  const served = Bokeh.documents.some((one) => one.roots().some((root) => root.class_name === "Page"))
  const alert = () => { if (served) { document.title = model.alerts ? `(${model.alerts}) ${title}` : title } }
  alert()
  model.on("alerts", alert)
  model.on("remove", () => { if (served) { document.title = title } })
  draw()
  model.on("items", draw)
  model.on("chosen", mark)
  model.on("following", mark)
  model.on("said", mark)
  model.on("over", mark)
  model.on("many", () => { asked = false; mark() })
  el.append(tools, list, more, said, rest, how)
}
