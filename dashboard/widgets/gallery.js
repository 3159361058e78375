export function render({model, el}) {
  const grid = document.createElement("nav")
  grid.setAttribute("aria-label", "Pages")
  for (const card of model.cards) {
    const link = document.createElement("a")
    link.href = `?page=${encodeURIComponent(card.slug)}`
    link.dataset.slug = card.slug
    const picture = document.createElement(card.picture ? "img" : "span")
    if (card.picture) { picture.src = card.picture; picture.alt = "" }
    const title = document.createElement("b"), sentence = document.createElement("p")
    title.textContent = card.title
    sentence.textContent = card.sentence
    link.append(picture, title, sentence)
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
      event.preventDefault()
      model.send_msg(card.slug)
    })
    grid.append(link)
  }
  const mark = () => {
    for (const link of grid.children) {
      link.toggleAttribute("aria-current", link.dataset.slug === model.shown)
    }
  }
  mark()
  model.on("shown", mark)
  el.append(grid)
}
