export function render({model, el}) {
  const words = document.createElement("strong"), more = document.createElement("span")
  const line = document.createElement("p"), button = document.createElement("button")
  line.setAttribute("role", "status")
  button.type = "button"
  button.title = "A copy of this run at the epoch that you look at, which you play and change; the other goes on without you"
  button.addEventListener("click", () => { model.send_msg("take over") })
  const follow = () => {
    words.textContent = model.words
    more.textContent = ` ${model.more}`
    button.textContent = model.offer
    button.hidden = !model.offer
  }
  for (const part of ["words", "more", "offer"]) { model.on(part, follow) }
  follow()
  const band = document.createElement("div")
  band.className = "band"
  line.append(words, more)
  band.append(line, button)
  el.append(band)
}
