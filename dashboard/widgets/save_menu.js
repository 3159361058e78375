import {filesOf, save} from "./download.js"

const NS = "http://www.w3.org/2000/svg", HEAD = 28, GAP = 16, EDGE = 12, LINE = 18, FONT = "13px system-ui, sans-serif"
const TYPES = {svg: "image/svg+xml", csv: "text/csv;charset=utf-8"}

const behind = (node) => {
  for (; node; node = node.parentElement ?? node.getRootNode().host) {
    const color = getComputedStyle(node).backgroundColor
    if (color !== "transparent" && !/^rgba\(.*, 0\)$/.test(color)) { return color }
  }
  return "white"
}

const add = (parent, tag, attributes, text) => {
  const made = document.createElementNS(NS, tag)
  for (const [name, value] of Object.entries(attributes)) { made.setAttribute(name, value) }
  made.textContent = text ?? ""
  parent.append(made)
  return made
}

const vectors = (view) => {
  const text = view.export("svg").ctx.get_serialized_svg(true)
  const one = new DOMParser().parseFromString(text, TYPES.svg).documentElement
  for (const image of one.querySelectorAll("image")) { image.style.imageRendering = "pixelated" }
  return one
}
const bitmap = (canvas, {width, height}) => {
  const one = document.createElementNS(NS, "image")
  const attributes = {width, height, href: canvas.toDataURL()}
  for (const [name, value] of Object.entries(attributes)) { one.setAttribute(name, value) }
  return one
}

// Words with their colors as lines of no more than a width.
const wrapped = (lines, width) => {
  const pen = document.createElement("canvas").getContext("2d")
  pen.font = FONT
  const rows = []
  for (const line of lines) {
    let row = [], used = 0
    for (const [words, color] of line) {
      for (const word of words.split(/(?<=[ \u2002])/)) {
        const size = pen.measureText(word).width
        if (row.length && used + size > width) { rows.push(row); row = []; used = 0 }
        row.push([word, color])
        used += size
      }
    }
    rows.push(row)
  }
  return rows
}

const write = (whole, rows, x, y, fill) => rows.reduce((below, row) => {
  const text = add(whole, "text", {x, y: below, fill, style: `font: ${FONT}; white-space: pre`})
  for (const [word, color] of row) { add(text, "tspan", color ? {fill: color} : {}, word) }
  return below + LINE
}, y)

// All figures of a card in a row, each under its name if there are several, below the title and above what they mean.
const drawn = ({figures, title, key, lines, about}, el) => {
  const whole = document.createElementNS(NS, "svg"), top = HEAD + (figures.length > 1 ? HEAD : 0)
  const fill = getComputedStyle(el).color
  add(whole, "rect", {width: "100%", height: "100%", fill: behind(el)})
  let width = 0, height = 0
  for (const {id, name, color, canvas} of figures) {
    const view = Bokeh.index.find_one_by_id(id), box = canvas ? view.el.getBoundingClientRect() : view.bbox
    const one = canvas ? bitmap(view.shadow_el.querySelector("canvas"), box) : vectors(view)
    const x = width ? width + GAP : 0
    if (figures.length > 1) {
      add(whole, "circle", {cx: x + 12, cy: HEAD + 13, r: 5, fill: color})
      add(whole, "text", {x: x + 24, y: HEAD + 17, fill, style: `font: ${FONT}`}, name)
    }
    one.setAttribute("x", x)
    one.setAttribute("y", top)
    whole.append(one)
    width = x + box.width
    height = Math.max(height, top + box.height)
  }
  add(whole, "text", {x: EDGE, y: 19, fill, style: `font: 600 15px system-ui, sans-serif`}, title)
  const chips = key.length ? [key.flatMap(([color, words]) => [["● ", color], [`${words}   `, ""]])] : []
  const rows = wrapped([...chips, ...lines, [[about, ""]]], width - 2 * EDGE)
  height = write(whole, rows, EDGE, height + LINE, fill) - LINE + EDGE
  Object.entries({width, height, viewBox: `0 0 ${width} ${height}`}).forEach(([name, value]) => {
    whole.setAttribute(name, value)
  })
  return {text: new XMLSerializer().serializeToString(whole), width, height}
}

const painted = async ({text, width, height}) => {
  const image = new Image(), canvas = document.createElement("canvas")
  image.src = URL.createObjectURL(new Blob([text], {type: TYPES.svg}))
  await image.decode()
  canvas.width = 2 * width
  canvas.height = 2 * height
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height)
  URL.revokeObjectURL(image.src)
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"))
}

export function render({model, el}) {
  el.innerHTML = `<button popovertarget="kinds" aria-haspopup="menu" aria-label="Save this picture"
    title="Save this picture"><svg viewBox="0 0 24 24" aria-hidden="true"><path
    d="M5 20h14v-2H5zM19 9h-4V3H9v6H5l7 7z"/></svg></button><menu id="kinds" popover role="menu"></menu>`
  const [button, menu] = el.children
  const table = filesOf(model, TYPES.csv)
  const take = async (kind) => {
    if (kind !== "csv") { return model.send_msg(kind) }
    const {blob, name} = await table(kind)
    save(blob, name)
  }
  const fill = () => {
    el.style.display = model.kinds.length ? "" : "none"
    menu.replaceChildren(...model.kinds.map((kind) => {
      const item = document.createElement("button")
      item.role = "menuitem"
      item.textContent = kind.toUpperCase()
      item.addEventListener("click", () => { menu.hidePopover(); button.focus(); take(kind) })
      return item
    }))
  }
  const close = () => menu.hidePopover()
  menu.addEventListener("toggle", ({newState}) => {
    if (newState !== "open") { window.removeEventListener("scroll", close, true); return }
    const {right, bottom} = button.getBoundingClientRect()
    menu.style.left = `${Math.max(4, right - menu.offsetWidth)}px`
    menu.style.top = `${Math.min(bottom + 2, innerHeight - menu.offsetHeight - 4)}px`
    menu.firstChild.focus()
    window.addEventListener("scroll", close, true)
  })
  menu.addEventListener("keydown", (event) => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key], items = [...menu.children]
    if (!step) { return }
    event.preventDefault()
    items.at((items.indexOf(event.target) + step) % items.length).focus()
  })
  fill()
  model.on("kinds", fill)
  model.on("remove", () => window.removeEventListener("scroll", close, true))
  model.on("msg:custom", async (message) => {
    const {kind, figures, name} = message
    if (!figures) { return }
    const drawing = drawn(message, el)
    save(kind === "png" ? await painted(drawing) : new Blob([drawing.text], {type: TYPES.svg}), name)
  })
}
