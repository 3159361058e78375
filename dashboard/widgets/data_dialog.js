import {filesOf, save} from "./download.js"

export function render({model, el}) {
  const box = document.createElement("textarea"), button = document.createElement("button")
  box.rows = 3
  box.spellcheck = false
  box.placeholder = "or paste a table here:\nx1,x2,class\n0.5,1.2,a"
  box.setAttribute("aria-label", "Paste a table")
  button.type = "button"
  button.textContent = "Download the current data as CSV"
  button.title = "What the page learns from now, in the form this dialog reads"
  let later
  box.addEventListener("input", () => {
    clearTimeout(later)
    later = setTimeout(() => { if (box.value.trim()) { model.send_msg({text: box.value.slice(0, LIMIT)}) } }, 400)
  })
  const table = filesOf(model, "text/csv;charset=utf-8")
  button.addEventListener("click", async () => {
    const {blob, name} = await table("present")
    save(blob, name)
  })
  el.append(box, button)
}
