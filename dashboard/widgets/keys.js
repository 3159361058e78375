const TYPING = "input:not([type=range], [type=checkbox]), textarea, [role=combobox], [role=option]"
const NAMED = "svg + span[aria-label]"  // what Material UI puts beside the icon of a help

const make = (kind, name, text = "") => {
  const made = document.createElement(kind)
  made.className = name
  made.textContent = text
  return made
}
// All elements of the page, within all shadows, that match.
const find = (selector, root = document.body, found = []) => {
  found.push(...root.querySelectorAll(selector))
  for (const one of root.querySelectorAll("*")) { if (one.shadowRoot) { find(selector, one.shadowRoot, found) } }
  return found
}
const focused = () => {
  let found = document.activeElement
  while (found?.shadowRoot?.activeElement) { found = found.shadowRoot.activeElement }
  return found
}
export function render({model, el}) {
  const dialog = make("dialog", "keys"), list = make("dl", ""), note = make("div", "note")
  const close = make("button", "", "Close"), skip = make("a", "", "Skip to the pictures")
  const search = make("input", ""), terms = make("dl", "terms")
  dialog.setAttribute("aria-label", "Keys and glossary")
  search.placeholder = "Search the glossary"
  search.setAttribute("aria-label", "Search the glossary")
  for (const [term, means] of model.terms) { terms.append(make("dt", "", term), make("dd", "", means)) }
  const none = make("p", "", "No term has these letters.")
  const sift = () => {
    const wanted = search.value.trim().toLowerCase()
    const pairs = [...terms.querySelectorAll("dt")].map((term) => [term, term.nextElementSibling])
    for (const pair of pairs) {
      const hidden = !pair.some((one) => one.textContent.toLowerCase().includes(wanted))
      for (const one of pair) { one.hidden = hidden }
    }
    none.hidden = pairs.some(([term]) => !term.hidden)
  }
  search.addEventListener("input", sift)
  for (const [key, does] of model.keys) { list.append(make("dt", "", key), make("dd", "", does)) }
  close.addEventListener("click", () => dialog.close())
  dialog.append(make("h2", "", "Keys"), list, make("h2", "", "Glossary"), search, none, terms, close)
  note.popover = "auto"
  note.tabIndex = -1
  note.setAttribute("role", "dialog")
  note.setAttribute("aria-label", "Help")
  el.append(dialog, note)

  skip.href = "#"
  skip.id = "skip-link"
  skip.addEventListener("click", (event) => {
    event.preventDefault()
    find("button").find((one) => /Play|Pause/.test(one.textContent) && one.offsetWidth)?.focus()
  })
  document.getElementById("skip-link")?.remove()
  document.body.prepend(skip)

  const open = () => {
    if (dialog.open) { return }
    const before = focused()
    search.value = ""
    sift()
    dialog.showModal()
    dialog.addEventListener("close", () => before?.focus?.(), {once: true})
  }
  const look_up = () => { open(); search.focus() }
  const hear = (event) => {
    const target = event.composedPath()[0]
    if (event.key !== "?" || event.ctrlKey || event.metaKey || event.altKey) { return }
    if (target instanceof Element && target.matches(TYPING)) { return }
    event.preventDefault()
    open()
  }
  const explain = (icon) => {
    note.textContent = icon.nextElementSibling.getAttribute("aria-label")
    note.showPopover()
    const {left, right, top, bottom} = icon.getBoundingClientRect()
    const beside = right + 8 + note.offsetWidth < innerWidth
    note.style.left = `${beside ? right + 8 : Math.max(8, Math.min(left, innerWidth - note.offsetWidth - 8))}px`
    note.style.top = `${Math.max(8, Math.min(beside ? top - 8 : bottom + 6, innerHeight - note.offsetHeight - 8))}px`
    note.focus({preventScroll: true})
  }
  const press = (event) => {
    const icon = event.composedPath().find((one) => one instanceof Element && one.nextElementSibling?.matches(NAMED))
    if (!icon) { return }
    event.preventDefault()
    event.stopPropagation()
    explain(icon)
  }
  // Material UI names an empty span with the help, and the edge of the side bar; only what has a role may have a name.
  const name = () => {
    if (document.hidden) { return }
    for (const one of find(NAMED)) { if (!one.hasAttribute("role")) { one.setAttribute("role", "note") } }
    for (const one of find("div[aria-label='Resize sidebar']:not([role])")) { one.setAttribute("role", "separator") }
  }
  const naming = setInterval(name, 2000)
  window.addEventListener("keydown", hear)
  window.addEventListener("glossary", look_up)
  window.addEventListener("click", press, true)
  model.on("remove", () => {
    clearInterval(naming)
    skip.remove()
    window.removeEventListener("keydown", hear)
    window.removeEventListener("glossary", look_up)
    window.removeEventListener("click", press, true)
  })
}
