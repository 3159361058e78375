export function render({model, el}) {
  const title = document.createElement("h2"), about = document.createElement("p")
  const news = document.createElement("p"), body = document.createElement("div")
  title.textContent = "Settings of the shared run"
  about.textContent = "Only whoever shares it changes them."
  news.className = "news"
  news.setAttribute("role", "status")
  const timers = new Map()  // by name: until when a change stands out
  let before = new Map()

  const lines = () => new Map(model.sections.flatMap(([, rows]) => rows).map(([name, label, value]) => [name, {label, value}]))
  const row = ([name, label, value]) => {
    const line = document.createElement("div"), term = document.createElement("dt"), held = document.createElement("dd")
    const change = timers.get(name)
    term.textContent = label
    held.textContent = value
    if (change) {
      const was = document.createElement("s")
      line.className = "changed"
      was.textContent = change.was
      was.setAttribute("aria-label", `before: ${change.was}`)
      held.prepend(was, " ")
    }
    line.append(term, held)
    return line
  }
  const draw = () => {
    body.replaceChildren(...model.sections.map(([heading, rows]) => {
      const part = document.createElement("section"), head = document.createElement("h3")
      const list = document.createElement("dl")
      head.textContent = heading
      list.append(...rows.map(row))
      part.append(head, list)
      return part
    }))
  }
  const forget = (name) => { timers.delete(name); draw() }
  const compare = () => {
    const now = lines(), told = []
    for (const [name, {label, value}] of now) {
      const was = before.get(name)?.value
      if (was === undefined && before.size === 0 || was === value) { continue }
      clearTimeout(timers.get(name)?.timer)
      timers.set(name, {was: was ?? "", timer: setTimeout(forget, 1000 * model.marked_s, name)})
      told.push(was === undefined ? `${label}: ${value}` : `${label}: ${value}, before: ${was}`)
    }
    before = now
    if (told.length) { news.textContent = `Changed: ${told.join("; ")}` }
    draw()
  }
  compare()
  model.on("sections", compare)
  model.on("remove", () => { for (const {timer} of timers.values()) { clearTimeout(timer) } })
  el.append(title, about, news, body)
}
