export function render({model, el}) {
  const place = document.createElement("label"), input = document.createElement("input")
  const icon = document.createElement("span"), words = document.createElement("span")
  input.type = "file"
  input.multiple = true
  input.accept = model.endings
  icon.textContent = "⇪"
  icon.setAttribute("aria-hidden", "true")
  place.append(input, icon, words)
  place.title = "The file stays on this server"
  const rest = () => { words.textContent = model.words; place.style.setProperty("--share", "0%") }
  const showShare = (file, share) => {
    words.textContent = `${file.name}: ${Math.round(100 * share)} %`
    place.style.setProperty("--share", `${100 * share}%`)
  }
  let receive = () => {}
  model.on("msg:custom", (message) => receive(message))
  const answer = () => new Promise((resolve) => { receive = resolve })
  const send = async (file) => {
    if (file.size > model.largest) {
      model.send_msg({name: file.name, size: file.size, start: -1})
      return
    }
    for (let start = 0; start === 0 || start < file.size; start += PIECE) {
      showShare(file, start / Math.max(1, file.size))
      const data = await file.slice(start, start + PIECE).arrayBuffer()
      const answered = answer()
      model.send_msg({name: file.name, size: file.size, start, data})
      if ((await answered).stop) { return }
    }
  }
  let sending = Promise.resolve()
  const take = (files) => {
    for (const file of files) {
      const failed = () => model.send_msg({name: file.name, size: 0, start: -2})
      sending = sending.then(() => send(file)).catch(failed).then(rest)
    }
  }
  input.addEventListener("change", () => { take([...input.files]); input.value = "" })
  place.addEventListener("dragover", () => place.classList.add("over"))
  place.addEventListener("dragleave", () => place.classList.remove("over"))
  place.addEventListener("drop", (event) => {
    event.preventDefault()
    place.classList.remove("over")
    take([...event.dataTransfer.files])
  })
  // A file that misses the place would otherwise take the page's.
  const miss = (event) => { if (event.dataTransfer?.types.includes("Files")) { event.preventDefault() } }
  window.addEventListener("dragover", miss)
  window.addEventListener("drop", miss)
  model.on("remove", () => {
    window.removeEventListener("dragover", miss)
    window.removeEventListener("drop", miss)
  })
  model.on("words", rest)
  rest()
  el.append(place)
}
