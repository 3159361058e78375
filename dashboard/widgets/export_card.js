import {filesOf, save} from "./download.js"

export function render({model, el}) {
  const title = document.createElement("h3"), words = document.createElement("p")
  const acts = document.createElement("menu"), line = document.createElement("progress")
  const state = document.createElement("span")
  state.setAttribute("role", "status")
  const say = (text) => { state.textContent = text }

  const file = filesOf(model)
  const download = async (act) => {
    const {blob, name} = await file(act)
    save(blob, name)
    say(`saved: ${name}`)
  }
  // Clipboards are there for pages from this machine or over https only; else what is selected can be copied.
  const copy = async (act) => {
    const {blob, name} = await file(act), text = await blob.text()
    const whole = name === "?" ? location.origin + location.pathname + text : text
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
  const DO = {save: download, copy, ask: async (act) => model.send_msg({act})}
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
