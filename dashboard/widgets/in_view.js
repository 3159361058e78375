export function render({model, el}) {
  el.style.minWidth = "0"
  el.append(model.get_child("content"))
  // Sent a moment later: a page that is being closed is hidden first, and has gone before the answer.
  let scrolled = true, later
  const send = () => {
    const near = scrolled && !document.hidden
    if (near !== model.near) { model.near = near }
  }
  const soon = () => { clearTimeout(later); later = setTimeout(send, 150) }
  const look = (entries) => { scrolled = entries[entries.length - 1].isIntersecting; soon() }
  const observer = new IntersectionObserver(look, {rootMargin: "60px"})
  observer.observe(el)
  document.addEventListener("visibilitychange", soon)
  const described = () => {
    const pictures = [{name: "", caption: "", figures: []}]
    let title = ""
    const walk = (node, picture) => {
      if (node.classList.contains("compared-picture")) {
        picture = {name: "", caption: "", figures: []}
        pictures.push(picture)
      }
      if (node.matches("h2")) { title = node.textContent }
      if (node.matches("p.name")) { picture.name = node.textContent }
      if (node.classList.contains("caption")) {
        picture.caption = node.shadowRoot?.querySelector("p")?.innerText.replace(/●/g, "") ?? ""
        return
      }
      if (node.classList.contains("bk-Figure")) { picture.figures.push(node) }
      if (node.matches(".bk-events")) { node.tabIndex = -1; node.style.outline = "none" }
      for (const part of [...node.shadowRoot?.children ?? [], ...node.children]) { walk(part, picture) }
    }
    walk(el, pictures[0])
    for (const {name, caption, figures} of pictures) {
      const parts = [title, name, caption].map((text) => text.replace(/\s+/g, " ").trim())
      const label = parts.filter(Boolean).join(". ")
      for (const figure of figures) {
        figure.setAttribute("role", "img")
        if (figure.getAttribute("aria-label") !== label) { figure.setAttribute("aria-label", label) }
      }
    }
  }
  const describing = setInterval(() => { if (scrolled && !document.hidden) { described() } }, 1000)
  model.on("remove", () => {
    clearInterval(describing)
    observer.disconnect()
    document.removeEventListener("visibilitychange", soon)
  })
}
