export function render({model, el}) {
  const title = document.createElement("h3"), words = document.createElement("p")
  const acts = document.createElement("menu"), line = document.createElement("progress")
  const state = document.createElement("span")
  state.setAttribute("role", "status")
  const say = (text) => { state.textContent = text }

  let receive = () => {}
  model.on("msg:custom", (message) => receive(message))
  const request = (what) => new Promise((resolve) => { receive = resolve; model.send_msg(what) })
  const fetched = async (act) => {
    const pieces = []
    for (let start = 0, size = 1; start < size; ) {
      const piece = await request({act, start})
      if (piece.trouble) { throw new Error(piece.trouble) }
      pieces.push(piece.data)
      start += piece.data.byteLength
      size = piece.size
      if (start >= size) { return {blob: new Blob(pieces), name: piece.name} }
    }
  }
  const save = async (act) => {
    const {blob, name} = await fetched(act), link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = name
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10000)
    say("saved: " + name)
  }
  // Clipboards are there for pages from this machine or over https only; else what is selected can be copied.
  const copy = async (act) => {
    const {blob, name} = await fetched(act), text = await blob.text()
    const whole = name == "?" ? location.origin + location.pathname + text : text
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(whole)
    } else {
      const area = document.createElement("textarea")
      area.value = whole
      el.append(area)
      area.select()
      const done = document.execCommand("copy")
      area.remove()
      if (!done) { prompt("To be copied:", whole); return }
    }
    say("copied")
  }
  const DO = {save, copy, ask: async (act) => model.send_msg({act})}
  let doing = Promise.resolve()

  const showActs = () => {
    acts.replaceChildren(...model.acts.map(({act, label, title, does}) => {
      const button = document.createElement("button")
      button.textContent = label
      button.title = title
      button.addEventListener("click", () => {
        say("")
        doing = doing.then(() => DO[does](act)).catch((error) => say(error.message))
      })
      return button
    }), line, state)
  }
  const follow = () => {
    title.textContent = model.title
    words.textContent = model.words
    say(model.state)
    line.hidden = model.share < 0
    line.value = Math.max(0, model.share)
  }
  for (const name of ["title", "words", "state", "share"]) { model.on(name, follow) }
  model.on("acts", showActs)
  showActs()
  follow()
  line.setAttribute("aria-label", "How far it is")
  el.append(title, words, acts)
}
