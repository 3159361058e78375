const DRAFT = "descent-lab-entry:", SOON = 500, AGAIN = 5000

// A tab's own memory may be full or forbidden.
const kept = (key) => { try { return JSON.parse(sessionStorage.getItem(DRAFT + key)) } catch { return null } }
const keep = (key, draft) => { try { sessionStorage.setItem(DRAFT + key, JSON.stringify(draft)) } catch {} }
const forget = (key) => { try { sessionStorage.removeItem(DRAFT + key) } catch {} }

export function render({model, el}) {
  const form = document.createElement("form"), status = document.createElement("output"), fields = {}
  const add = (kind, name, heading, prompt) => {
    const label = document.createElement("label"), field = document.createElement(kind)
    label.textContent = heading
    label.htmlFor = field.id = name
    field.placeholder = prompt
    fields[name] = field
    form.append(label, field)
    return field
  }
  const title = add("input", "title", "Title", "What this entry is about, in a line")
  title.maxLength = model.longest
  title.autocomplete = "off"
  for (const section of model.sections) { add("textarea", section.name, section.heading, section.prompt).rows = 3 }
  form.setAttribute("aria-label", "Entry")
  form.prepend(status)

  let id = null, base = "", saved = "", sent = [], later, number = Date.now()
  const names = () => Object.keys(fields)
  const written = () => JSON.stringify(Object.fromEntries(names().map((name) => [name, fields[name].value])))
  const fill = (words) => names().forEach((name) => { fields[name].value = words[name] })
  const say = (words, failed = false) => { status.textContent = words; status.classList.toggle("failed", failed) }

  const save = () => {
    clearTimeout(later)
    const words = written()
    if (!id || words === saved || sent.at(-1)?.id === id && sent.at(-1).words === words) { return }
    sent.push({number: ++number, id, words})
    model.send_msg({number, id, base, words: JSON.parse(words)})
  }
  const typed = () => {
    written() === saved ? forget(id) : keep(id, {base, words: written()})
    say(written() === saved ? "" : "…")
    clearTimeout(later)
    later = setTimeout(save, SOON)
  }
  const answered = (answer) => {
    const {words} = sent.find((one) => one.number === answer.number)
    sent = sent.filter((one) => one.number > answer.number)
    if (!answer.problem && kept(answer.asked)?.words === words) { forget(answer.asked) }
    if (id !== answer.asked) { return }
    if (answer.problem) {
      say(answer.problem, true)
      later = setTimeout(save, AGAIN)
      return
    }
    id = answer.became
    base = answer.stamp
    saved = words
    if (written() !== saved) { keep(id, {base, words: written()}) }
    say(`saved ${new Date().toTimeString().slice(0, 8)}`)
  }
  const open = (entry) => {
    save()
    say("")
    id = entry?.id ?? null
    form.hidden = !entry
    if (!entry) { return }
    fill(entry.words)
    base = entry.stamp
    saved = written()
    const draft = kept(id)
    if (draft && draft.words !== saved) {
      fill(JSON.parse(draft.words))
      base = draft.base
      save()
    }
    if (!draft && Object.values(entry.words).every((text) => !text) && matchMedia("(min-width: 800px)").matches) {
      title.focus()
    }
  }
  const receive = () => {
    const {entry, answer} = model.state
    if (sent.some((one) => one.number === answer?.number)) { answered(answer) }
    if ((entry?.id ?? null) !== id || !entry) { open(entry) }
    else if (entry.stamp !== base && written() === saved) {
      fill(entry.words)
      base = entry.stamp
      saved = written()
    }
  }
  receive()
  model.on("state", receive)
  form.addEventListener("input", typed)
  form.addEventListener("focusout", save)
  form.addEventListener("submit", (event) => { event.preventDefault(); save() })
  form.addEventListener("keydown", (event) => {
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); save() }
  })
  window.addEventListener("pagehide", save)
  model.on("remove", () => { save(); window.removeEventListener("pagehide", save) })
  el.append(form)
}
