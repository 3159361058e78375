const OPEN = "M21 11V3h-8l3.3 3.3-10 10L3 13v8h8l-3.3-3.3 10-10z"
const BACK = "M22 3.4 20.6 2l-5.3 5.3L12 4v8h8l-3.3-3.3zM4 12l3.3 3.3L2 20.6 3.4 22l5.3-5.3L12 20v-8z"
const CARDS = ".third, .half, .whole"

export function render({model, el}) {
  el.innerHTML = `<button type="button"><svg viewBox="0 0 24 24" aria-hidden="true"><path/></svg></button>`
  const button = el.querySelector("button"), path = el.querySelector("path")
  const card = () => {
    let node = el
    while (node && !node.matches(CARDS)) { node = node.parentElement ?? node.getRootNode().host }
    return node
  }
  let enlarged = null  // a step of the story may have taken the class off the card
  const say = () => {
    const words = enlarged ? "Put this picture back (Escape)" : "Enlarge this picture"
    button.setAttribute("aria-label", words)
    button.title = words
    path.setAttribute("d", enlarged ? BACK : OPEN)
  }
  const put = (wanted) => {
    enlarged?.classList.remove("enlarged")
    enlarged = wanted
    enlarged?.classList.add("enlarged")
    say()
  }
  const hear = (event) => {
    if (event.key !== "Escape" || !enlarged || event.defaultPrevented) { return }
    put(null)
    button.focus()
  }
  button.addEventListener("click", () => put(enlarged?.matches(".enlarged") ? null : card()))
  window.addEventListener("keydown", hear)
  model.on("remove", () => window.removeEventListener("keydown", hear))
  say()
}
