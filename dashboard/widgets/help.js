export function render({model, el}) {
  el.innerHTML = `<button type="button" popovertarget="help" aria-haspopup="dialog"><svg viewBox="0 0 24 24"
    aria-hidden="true"><path d="M11 18h2v-2h-2zm1-16a10 10 0 1 0 0 20 10 10 0 0 0 0-20m0 18a8 8 0 1 1 0-16 8 8 0 0 1 0
    16m0-14a4 4 0 0 0-4 4h2a2 2 0 1 1 4 0c0 2-3 1.75-3 5h2c0-2.25 3-2.5 3-5a4 4 0 0 0-4-4"/></svg></button>
    <div id="help" popover role="dialog" tabindex="-1"><p></p><dl></dl><button type="button" class="all">All terms</button></div>`
  const [button, box] = el.children
  const follow = () => {
    el.style.display = model.text ? "" : "none"
    const [text, list] = box.children
    text.textContent = model.text
    list.replaceChildren(...model.terms.flatMap((pair) => pair.map((words, place) => {
      const made = document.createElement(place ? "dd" : "dt")
      made.textContent = words
      return made
    })))
    button.setAttribute("aria-label", model.label)
    button.title = model.label
    box.setAttribute("aria-label", model.label)
  }
  // Below the button or above it, where there is room, and within the window.
  const place = () => {
    const {right, bottom, top} = button.getBoundingClientRect()
    box.style.left = `${Math.max(8, Math.min(right, innerWidth - 8) - box.offsetWidth)}px`
    const below = bottom + 6 + box.offsetHeight < innerHeight
    box.style.top = `${below ? bottom + 6 : Math.max(8, top - box.offsetHeight - 6)}px`
  }
  const close = (event) => { if (!event.composedPath().includes(box)) { box.hidePopover() } }
  box.lastElementChild.addEventListener("click", () => {
    box.hidePopover()
    button.focus()
    window.dispatchEvent(new CustomEvent("glossary"))
  })
  box.addEventListener("toggle", ({newState}) => {
    button.setAttribute("aria-expanded", String(newState === "open"))
    if (newState !== "open") { window.removeEventListener("scroll", close, true); return }
    place()
    box.focus({preventScroll: true})
    window.addEventListener("scroll", close, true)
  })
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") { return }
    event.preventDefault()
    event.stopPropagation()
    box.hidePopover()
    button.focus()
  })
  for (const part of ["text", "label", "terms"]) { model.on(part, follow) }
  model.on("remove", () => window.removeEventListener("scroll", close, true))
  follow()
}
