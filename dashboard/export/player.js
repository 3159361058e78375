import {save} from "../widgets/download.js"

// Plays the animation of a static page: builds the pictures, and brings them to any of its frames.
// RENDERS, put before this, are the functions that draw the components.

const page = JSON.parse(document.getElementById("page").textContent)
const by = (id) => document.getElementById(id)
const bytes_of = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0))

// The animation: tracks, and the pieces of their arrays.

async function unpacked(text) {
  const stream = new Blob([bytes_of(text)]).stream().pipeThrough(new DecompressionStream("gzip"))
  const all = new Uint8Array(await new Response(stream).arrayBuffer())
  const length = new DataView(all.buffer).getUint32(0, true)
  const animation = JSON.parse(new TextDecoder().decode(all.subarray(4, 4 + length)))
  let start = 4 + length
  animation.pieces = animation.pieces.map(([before, kept, size]) => {
    const piece = {before, kept, bytes: all.subarray(start, start + size)}
    start += size
    return piece
  })
  animation.pieces.forEach((piece, i) => { piece.chain = piece.before < 0 ? i : animation.pieces[piece.before].chain })
  return animation
}

// The array of a piece; of each chain of pieces the latest one is remembered.
const remembered = new Map()
function array(animation, number) {
  const chain = animation.pieces[number].chain, known = remembered.get(chain), ahead = []
  let at = number, found = null
  while (found == null) {
    const piece = animation.pieces[at]
    if (known?.number === at) { found = known.array }
    else if (piece.before < 0) { found = piece.bytes.slice() }
    else { ahead.push(piece); at = piece.before }
  }
  for (const piece of ahead.reverse()) { found = built(piece, found) }
  remembered.set(chain, {number, array: found})
  return found
}

function built(piece, before) {
  if (piece.kept < 0) { return piece.bytes.map((byte, i) => byte ^ before[i]) }
  const array = new Uint8Array(piece.kept + piece.bytes.length)
  array.set(before.subarray(0, piece.kept))
  array.set(piece.bytes, piece.kept)
  return array
}

// A component's value, of which arrays are pieces.
const KINDS = {float32: Float32Array, float64: Float64Array}
const numbers = (animation, value) =>
  value?.type === "ndarray" ? new KINDS[value.dtype](array(animation, Number(value.array.data.id)).slice().buffer) : value

// The numbers of the pieces that an encoded value speaks of.
function* pieces_in(value) {
  if (value == null || typeof value !== "object") { return }
  if (value.type === "bytes") { yield value.data.id; return }
  for (const part of Object.values(value)) { yield* pieces_in(part) }
}

// The pictures.

const sheets = [], components = [], places = []

function shadowed(css) {
  const host = document.createElement("div")
  const root = host.attachShadow({mode: "open"}), style = document.createElement("style")
  style.textContent = css
  root.append(style)
  return [host, root]
}

const BUILD = {
  box(part) {
    const [host, root] = shadowed(`:host { display: block; }${part.css}`)
    root.append(...part.children.map(build))
    return host
  },
  figure(part) {
    const host = document.createElement("div")
    host.style.height = `${part.height}px`
    places[part.root] = host
    return host
  },
  sheet(part) {
    const [host, root] = shadowed(`:host { display: block; }${part.css}`), sheet = document.createElement("div")
    if (part.height) { host.style.height = `${part.height}px`; host.style.overflow = "auto" }
    sheets[part.place] = sheet
    root.append(sheet)
    return host
  },
  component(part) {
    const [host, root] = shadowed(`:host { display: block; } button, td { pointer-events: none; }${part.css}`)
    const el = document.createElement("div"), listeners = {}
    const on = (name, receive) => { listeners[name] = [...listeners[name] ?? [], receive] }
    components[part.place] = {
      model: {send_msg() {}, on, fixed: true}, listeners,
      render: () => RENDERS[part.module]({model: components[part.place].model, el}),
    }
    if (part.height) { host.style.height = `${part.height}px` }
    root.append(el)
    return host
  },
}

function build(part) {
  const built = BUILD[part.kind](part)
  built.classList.add(...part.classes ?? [])
  built.style.minWidth = "0"
  return built
}

function update(place, names) {
  const component = components[place]
  if (component.render) {
    component.render()
    component.render = null
  } else {
    for (const name of names) { for (const receive of component.listeners[name] ?? []) { receive() } }
  }
}

// What a screen reader says of a figure: the title of its card, and its caption. No key does anything in one.

function describe() {
  for (const card of document.querySelectorAll(".card")) {
    const title = card.querySelector("h2").textContent, caption = card.querySelector(".caption").innerText
    const label = [title, caption.replace(/●/g, "").replace(/\s+/g, " ").trim()].filter(Boolean).join(". ")
    for (const figure of figures_in(card.querySelector(".picture"))) {
      figure.setAttribute("role", "img")
      figure.setAttribute("aria-label", label)
    }
  }
}

function* figures_in(node) {
  if (places.includes(node)) { yield node }
  if (node.matches(".bk-events")) { node.tabIndex = -1 }
  for (const part of [...node.shadowRoot?.children ?? [], ...node.children]) { yield* figures_in(part) }
}

// Bokeh's models look as they do in the laboratory.

function dress(models, dark) {
  const font = "Roboto, Helvetica, Arial, sans-serif"
  const ink = dark ? "#ffffff" : "rgba(0, 0, 0, 0.87)"
  const pale = dark ? "rgba(255, 255, 255, 0.7)" : "rgba(0, 0, 0, 0.6)"
  const lines = dark ? "rgba(255, 255, 255, 0.12)" : "rgba(0, 0, 0, 0.1)"
  for (const model of models) {
    if (model.type.endsWith("Axis")) {
      model.setv({
        axis_line_alpha: 0, major_tick_line_alpha: 0, minor_tick_line_alpha: 0,
        major_label_text_color: pale, major_label_text_font: font, major_label_text_font_size: "0.925em",
        axis_label_text_color: ink, axis_label_text_font: font, axis_label_text_font_size: "1em",
        axis_label_text_font_style: "normal", axis_label_standoff: 12,
      })
    } else if (model.type.endsWith("Grid") && model.grid_line_color != null) {
      model.setv({grid_line_color: lines, grid_line_alpha: 1})
    } else if (model.type.endsWith("ColorBar")) {
      model.setv({
        background_fill_alpha: 0, major_tick_line_alpha: 0, minor_tick_line_alpha: 0, bar_line_alpha: 0,
        title_text_color: ink, title_text_font: font, title_text_font_size: "0.95em", title_text_font_style: "normal",
        major_label_text_color: pale, major_label_text_font: font, major_label_text_font_size: "0.9em",
      })
    } else if (model.type.endsWith("Title")) {
      model.setv({text_color: ink, text_font: font})
    }
  }
}

// Pictures whose two axes have one scale: their ranges are widened to the proportions that they have on this screen.

const equals = page.cards.filter((card) => card.equal).flatMap(function figures(part) {
  return part.kind === "figure" ? [part.id] : (part.children ?? []).flatMap(figures)
})
const bounds = new Map()

function set_range(range, start, end) {
  if (range.start !== start || range.end !== end) { range.setv({start, end}) }
}

function fit(figure) {
  const {inner_width, inner_height} = figure, known = bounds.get(figure)
  if (!inner_width || !inner_height || !known) { return }
  const [[left, right], [bottom, top]] = known, aspect = inner_width / inner_height
  const wider = Math.max(0, (top - bottom) * aspect - (right - left)) / 2
  const higher = Math.max(0, (right - left) / aspect - (top - bottom)) / 2
  set_range(figure.x_range, left - wider, right + wider)
  set_range(figure.y_range, bottom - higher, top + higher)
}

function unfit(figure) {
  const known = bounds.get(figure)
  if (!known) { return }
  set_range(figure.x_range, ...known[0])
  set_range(figure.y_range, ...known[1])
}

// The player.

function player(animation, plots) {
  const slider = by("epoch"), last = page.epochs.length - 1, PERIOD = 90
  const tracks = animation.tracks.map(({name, at, values}) => ({kind: name[0], of: name.slice(1), at, values, now: -1}))
  const figures = equals.map((id) => plots.get_model_by_id(id))
  let shown = -1, playing = false

  // The change of a track that holds at a frame.
  const place = (track, frame) => {
    let low = 0, high = track.at.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (track.at[middle] <= frame) { low = middle + 1 } else { high = middle }
    }
    return low - 1
  }

  const show = (frame) => {
    const columns = new Map(), events = [], arrays = new Map(), changed = new Map()
    for (const track of tracks) {
      const now = Math.max(0, place(track, frame))
      if (now === track.now) { continue }
      track.now = now
      const value = track.values[now], [one, name] = track.of
      if (track.kind === "column" || track.kind === "attribute") {
        for (const number of pieces_in(value)) { arrays.set(number, array(animation, Number(number)).buffer) }
      }
      if (track.kind === "column") {
        if (!columns.has(one)) { columns.set(one, []) }
        columns.get(one).push([name, value])
      } else if (track.kind === "attribute") {
        events.push({kind: "ModelChanged", model: {id: one}, attr: name, new: value})
      } else if (track.kind === "caption") {
        document.querySelector(`.caption[data-card="${one}"]`).innerHTML = value
      } else if (track.kind === "sheet") {
        sheets[one].innerHTML = value
      } else if (track.kind === "component") {
        components[one].model[name] = numbers(animation, value)
        changed.set(one, [...changed.get(one) ?? [], name])
      } else if (track.kind === "readings") {
        by("readings").replaceChildren(...value.map(reading))
      }
    }
    for (const [id, entries] of columns) {
      const cols = entries.map(([name]) => name)
      events.push({kind: "ColumnDataChanged", model: {id}, attr: "data", data: {type: "map", entries}, cols})
    }
    figures.forEach(unfit)
    if (events.length) { plots.apply_json_patch({events}, arrays) }
    for (const figure of figures) {
      const ends = ({start, end}) => [start, end]
      bounds.set(figure, [ends(figure.x_range), ends(figure.y_range)])
      fit(figure)
    }
    for (const [one, names] of changed) { update(one, names) }
    if (!playing) { describe() }
    shown = frame
    slider.value = frame
    slider.setAttribute("aria-valuetext", `epoch ${page.epochs[frame]}`)
    document.documentElement.dataset.epoch = page.epochs[frame]
  }

  const reading = ([name, value]) => {
    const pair = document.createElement("div"), dt = document.createElement("dt"), dd = document.createElement("dd")
    dt.textContent = name
    dd.textContent = value
    pair.append(dt, dd)
    return pair
  }

  const go = (frame) => {
    const wanted = Math.min(last, Math.max(0, frame))
    if (wanted !== shown) { show(wanted) }
  }
  const stand = (frame) => { set_playing(false); go(frame) }

  let beat = 0
  const tick = (time) => {
    if (!playing) { return }
    if (time - beat >= PERIOD) {
      beat = time
      go(shown + 1)
      if (shown === last) { set_playing(false); return }
    }
    requestAnimationFrame(tick)
  }
  const set_playing = (wanted) => {
    playing = wanted
    by("play").textContent = wanted ? "Pause" : "Play"
    by("play").title = wanted ? "Pause (space)" : "Play (space)"
    if (!wanted) { describe() }
  }
  const toggle = () => {
    if (!playing && shown === last) { go(0) }
    set_playing(!playing && last > 0)
    requestAnimationFrame(tick)
  }

  by("play").addEventListener("click", toggle)
  by("first").addEventListener("click", () => stand(0))
  by("back").addEventListener("click", () => stand(shown - 1))
  by("on").addEventListener("click", () => stand(shown + 1))
  by("last").addEventListener("click", () => stand(last))
  slider.addEventListener("input", () => stand(Number(slider.value)))
  const KEYS = {
    " ": toggle,
    ArrowLeft: () => stand(shown - 1),
    ArrowRight: () => stand(shown + 1),
    Home: () => stand(0),
    End: () => stand(last),
  }
  addEventListener("keydown", (event) => {
    const busy = event.target.closest?.(event.key === " " ? "button, summary, a, input, select" : "input, select")
    if (!(event.key in KEYS) || busy || event.ctrlKey || event.metaKey || event.altKey) { return }
    event.preventDefault()
    KEYS[event.key]()
  })
  figures.forEach((figure) => {
    for (const size of ["inner_width", "inner_height"]) {
      figure.properties[size].change.connect(() => fit(figure))
    }
  })

  const wanted = Number(new URLSearchParams(location.hash.slice(1)).get("epoch") ?? page.epoch)
  show(Math.max(0, page.epochs.findLastIndex((epoch) => epoch <= wanted)))
}

// Light and dark.

function themes(change) {
  const dark = matchMedia("(prefers-color-scheme: dark)")
  let chosen = null
  const apply = () => {
    const now = chosen ?? dark.matches
    document.documentElement.dataset.theme = now ? "dark" : "light"
    change(now)
  }
  dark.addEventListener("change", apply)
  by("theme").addEventListener("click", () => { chosen = !(chosen ?? dark.matches); apply() })
  apply()
}

// The recording, which is in the file, to be saved.

function letRecordingBeSaved() {
  const button = by("save")
  button?.addEventListener("click", () => {
    save(new Blob([bytes_of(by("recording").textContent)]), button.dataset.name)
  })
}

async function begin() {
  for (const [place, card] of page.cards.entries()) {
    document.querySelector(`.picture[data-card="${place}"]`).append(build(card))
  }
  const plots = Bokeh.require("document").Document.from_json(page.figures)
  const models = new Set(plots.roots().flatMap((root) => [...root.references()]))
  themes((dark) => dress(models, dark))
  await Bokeh.embed.add_document_standalone(plots, document.body, places)
  player(await unpacked(by("animation").textContent), plots)
  letRecordingBeSaved()
  document.documentElement.dataset.ready = ""
}

begin().catch((error) => {
  by("trouble").hidden = false
  by("trouble").textContent = `This page needs a browser of 2023 or later: ${error}`
  throw error
})
