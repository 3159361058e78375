const OPEN = "M21 11V3h-8l3.3 3.3-10 10L3 13v8h8l-3.3-3.3 10-10z"
const BACK = "M22 3.4 20.6 2l-5.3 5.3L12 4v8h8l-3.3-3.3zM4 12l3.3 3.3L2 20.6 3.4 22l5.3-5.3L12 20v-8z"
const CARDS = ".third, .half, .whole"

// All that is beside a node and beside what is around it, except messages, which may be closed.
const around = (node) => {
  const found = []
  for (let one = node; one !== document.body; one = one.parentElement ?? one.getRootNode().host) {
    const parent = one.parentNode
    found.push(...[...parent.children].filter((other) => other !== one && !other.matches("style, link, script, .alert")))
  }
  return found.filter((one) => !one.inert)
}

export function render({model, el}) {
  el.innerHTML = `<button type="button"><svg viewBox="0 0 24 24" aria-hidden="true"><path/></svg></button>`
  const button = el.querySelector("button"), path = el.querySelector("path")
  const card = () => {
    let node = el
    while (node && !node.matches(CARDS)) { node = node.parentElement ?? node.getRootNode().host }
    return node
  }
  let held = []
  let enlarged = null  // a step of the story may have taken the class off the card
  const say = () => {
    const words = enlarged ? "Put this picture back (Escape)" : "Enlarge this picture"
    button.setAttribute("aria-label", words)
    button.title = words
    path.setAttribute("d", enlarged ? BACK : OPEN)
  }
  const put = (wanted) => {
    for (const one of held) { one.inert = false }
    enlarged?.classList.remove("enlarged")
    enlarged = wanted
    enlarged?.classList.add("enlarged")
    held = enlarged ? around(enlarged) : []
    for (const one of held) { one.inert = true }  // the focus stays in the card
    say()
  }
  const hear = (event) => {
    if (event.key !== "Escape" || !enlarged || event.defaultPrevented) { return }
    put(null)
    button.focus()
  }
  button.addEventListener("click", () => put(enlarged?.matches(".enlarged") ? null : card()))
  window.addEventListener("keydown", hear)
  model.on("remove", () => {
    for (const one of held) { one.inert = false }
    window.removeEventListener("keydown", hear)
  })
  say()
}
