import {filesOf, save} from "./download.js"

export function render({model, el}) {
  el.style.display = "none"
  const file = filesOf(model)
  model.on("msg:custom", async (message) => {
    if (message.save == null) { return }
    const {blob, name} = await file(message.save)
    save(blob, name)
  })
}
