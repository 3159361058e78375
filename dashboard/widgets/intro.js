export function render({model, el}) {
  const host = el.getRootNode().host
  const head = document.createElement("header"), title = document.createElement("h1")
  const turn = document.createElement("button"), content = document.createElement("div")
  turn.type = "button"
  content.className = "content"
  content.id = "content"
  turn.setAttribute("aria-controls", "content")
  title.textContent = model.question
  head.append(title, turn)
  content.append(model.get_child("content"))
  const follow = () => {
    host.classList.toggle("open", model.is_open)
    turn.textContent = model.is_open ? "Fold" : "About this page"
    turn.setAttribute("aria-expanded", String(model.is_open))
  }
  turn.addEventListener("click", () => { model.is_open = !model.is_open; follow() })
  model.on("is_open", follow)
  follow()
  el.append(head, content)
}
