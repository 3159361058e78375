export function render({model, el}) {
  const box = document.createElement("textarea"), save = document.createElement("button")
  box.rows = 3
  box.spellcheck = false
  box.placeholder = "or paste a table here:\nx1,x2,class\n0.5,1.2,a"
  box.setAttribute("aria-label", "Paste a table")
  save.type = "button"
  save.textContent = "Download the current data as CSV"
  save.title = "What the page learns from now, in the form this dialog reads"
  let later
  box.addEventListener("input", () => {
    clearTimeout(later)
    later = setTimeout(() => { if (box.value.trim()) { model.send_msg({text: box.value.slice(0, LIMIT)}) } }, 400)
  })
  save.addEventListener("click", () => model.send_msg({save: true}))
  model.on("msg:custom", ({name, text}) => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(new Blob([text], {type: "text/csv;charset=utf-8"}))
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
  })
  el.append(box, save)
}
