// STYLE is put before this: the colors of widgets/style.py.
import {Answers, bias_at, FEATURES, weight_at} from "./network_forward.js"

const ROWS = 8, THUMB = 46, EDGE_SAMPLES = 14, PRODUCTS = 1.6e6, LONGEST = 250
const REST = "ArrowLeft ArrowRight ArrowUp ArrowDown Enter Escape".split(" ")

const clamp = (value, low, high) => Math.min(Math.max(value, low), high)
const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16))
const packed = (red, green, blue, alpha = 255) => (alpha << 24 | blue << 16 | green << 8 | red) >>> 0
const table = (color) => Uint32Array.from({length: 256}, (_, i) => packed(...color(i / 255)))
const digits = (value) => Number.isFinite(value) ? String(Number(value.toPrecision(3))).replace("-", "−") : "not finite"

const between = (colors, share) => {
  const place = share * (colors.length - 1), at = Math.min(Math.floor(place), colors.length - 2)
  return colors[at].map((low, i) => Math.round(low + (colors[at + 1][i] - low) * (place - at)))
}
const CLASSES = STYLE.classes.map(rgb), ACTIVATION = STYLE.activation.map(rgb)
const ACTIVE = table((share) => between(ACTIVATION, share))
const TWO = table((p) => [...CLASSES[p < 0.5 ? 0 : 1], Math.round(STYLE.opaque * Math.abs(2 * p - 1))])
// Data may have more classes than there are colors.
const class_color = (label) => STYLE.classes[label % STYLE.classes.length]
const ONE_OF = CLASSES.map((color) => table((p) => [...color, Math.round(STYLE.opaque * p)]))

// The pixels of values between two ends, in the colors of a table.
const paint = (pixels, values, low, high, colors) => {
  const scale = high > low ? 255 / (high - low) : 0
  for (let p = 0; p < values.length; p++) { pixels[p] = colors[clamp((values[p] - low) * scale, 0, 255) | 0] }
}
const paint_winners = (pixels, units) => {
  const most = units.length
  for (let p = 0; p < pixels.length; p++) {
    let winner = 0
    for (let k = 1; k < most; k++) { if (units[k][p] > units[winner][p]) { winner = k } }
    const ahead = (units[winner][p] - 1 / most) * most / (most - 1)
    pixels[p] = ONE_OF[winner % ONE_OF.length][clamp(ahead * 255, 0, 255) | 0]
  }
}
const ends = (values) => {
  let low = Infinity, high = -Infinity
  for (const value of values) { if (value < low) { low = value } if (value > high) { high = value } }
  return [low, high]
}
// The scale of a unit's answers holds 0, as in every other picture of activations.
const scale_of = (values) => {
  const [low, high] = ends(values)
  return [Math.min(0, low), Math.max(high, 1e-6)]
}

// Line segments along which a field on a grid has a value, in cells: marching squares.
const level = (field, side, value) => {
  const lines = []
  const cross = (a, b) => (value - a) / (b - a)
  for (let r = 0; r + 1 < side; r++) {
    for (let c = 0; c + 1 < side; c++) {
      const at = r * side + c
      const corners = [field[at], field[at + 1], field[at + side + 1], field[at + side]]
      const above = corners.map((corner) => corner > value), found = []
      if (above[0] !== above[1]) { found.push([c + cross(corners[0], corners[1]), r]) }
      if (above[1] !== above[2]) { found.push([c + 1, r + cross(corners[1], corners[2])]) }
      if (above[3] !== above[2]) { found.push([c + cross(corners[3], corners[2]), r + 1]) }
      if (above[0] !== above[3]) { found.push([c, r + cross(corners[0], corners[3])]) }
      for (let i = 0; i + 1 < found.length; i += 2) { lines.push([found[i], found[i + 1]]) }
    }
  }
  return lines
}

// Points at which the units are asked: a grid in the plane, places on a line, or the examples, sorted by their answer.
const numbers_of = ({sizes, features}) => features.length ? 2 : sizes[0]
const asked = (network, examples) => {
  const {sizes, box} = network, features = numbers_of(network), wide = features + 1
  if (network.features.length) {
    const weights = sizes.slice(1).reduce((sum, size, i) => sum + size * (sizes[i] + 8), 0)
    const side = clamp(Math.floor(Math.sqrt(PRODUCTS / weights)), 14, 44), [[left, right], [bottom, top]] = box
    const x = new Float64Array(side * side), y = new Float64Array(side * side)
    for (let p = 0; p < x.length; p++) {
      x[p] = left + (p % side + 0.5) / side * (right - left)
      y[p] = top - (Math.floor(p / side) + 0.5) / side * (top - bottom)
    }
    const inputs = network.features.map((name) => x.map((value, p) => FEATURES[name](value, y[p])))
    return {kind: "plane", inputs, wide: side, high: side}
  }
  if (features === 1) {
    const [[left, right]] = box
    return {kind: "line", inputs: [Float64Array.from({length: 97}, (_, p) => left + p / 96 * (right - left))], wide: 97}
  }
  const count = examples.length / wide, rows = Array.from({length: count}, (_, i) => i)
  rows.sort((a, b) => examples[a * wide + features] - examples[b * wide + features] || a - b)
  const column = (f) => Float64Array.from(rows, (row) => examples[row * wide + f])
  const inputs = Array.from({length: features}, (_, f) => column(f))
  return {kind: "rows", inputs, right: column(features), wide: count, high: 1}
}

export function render({model, el}) {
  const make = (tag, name, parent, text) => {
    const made = document.createElement(tag)
    if (name) { made.className = name }
    if (text) { made.textContent = text }
    parent?.append(made)
    return made
  }
  const box = make("div", "box", el), canvas = make("canvas", "", box), buttons = make("div", "buttons", box)
  const tip = make("div", "tip", box), popover = make("div", "popover", box)
  const ctx = canvas.getContext("2d"), atlas = document.createElement("canvas"), store = atlas.getContext("2d")
  canvas.tabIndex = 0
  canvas.setAttribute("role", "img")
  tip.hidden = popover.hidden = true

  let points, answers, known = "", lay = null, lay_key = "", seen = true, frame = 0, cost = 4, drawn_at = 0
  let from = null, to = null, now = null, began = 0, span = 0, arrived = 0, usual = 120
  let hover = null, held = null, opened = null

  // What the server has sent. A page that was exported is fixed: nobody receives what is changed there.

  const may_edit = () => model.editable && !model.fixed

  const structure = () => JSON.stringify(["sizes", "box", "output", "features"].map((name) => model.network[name]))
  const expected = () => model.network.sizes?.slice(1).reduce((n, size, i) => n + (model.network.sizes[i] + 1) * size, 0)
  const begin = () => {
    points = asked(model.network, model.examples ?? [])
    answers = new Answers(model.network, points.inputs)
    known = structure()
    from = now = null
    lay = null
    hover = held = null
    shut()
  }
  const still = matchMedia("(prefers-reduced-motion: reduce)")
  const take = () => {
    const time = performance.now(), since = time - arrived
    arrived = time
    if (since < 1000) { usual += 0.25 * (since - usual) }
    const goes_on = model.live && to && now && since < 1000 && !still.matches && to.length === model.parameters?.length
    from = goes_on ? now.slice() : null
    to = model.parameters
    began = time
    span = clamp(usual, 40, LONGEST)
    soon()
  }

  // Time: between two frames of the server the weights go straight from one to the other, and arrive exactly.

  const soon = () => {
    if (!frame && seen) { frame = requestAnimationFrame(tick) }
  }
  const tick = (time) => {
    frame = 0
    const share = from ? clamp((time - began) / span, 0, 1) : 1
    if (share < 1 && time - drawn_at < 2 * cost) { soon(); return }
    draw(share)
    drawn_at = performance.now()
    cost += 0.2 * (drawn_at - time - cost)
    if (share < 1) { soon() } else { from = null }
  }
  const at_share = (share) => {
    if (!from || share >= 1) { return to }
    const mixed = new Float64Array(to.length)
    for (let i = 0; i < to.length; i++) { mixed[i] = from[i] + (to[i] - from[i]) * share }
    return mixed
  }

  // Where everything is.

  const picked_in = (layer) => model.unit.length === 2 && model.unit[0] === layer - 1 ? model.unit[1] : -1
  const chosen = (size, most, picked) => {
    const first = Array.from({length: Math.min(size, most)}, (_, i) => i)
    if (picked >= first.length && picked < size) { first[first.length - 1] = picked }
    return first
  }
  const NAME = {size: 12, weight: 400}, BESIDE = 5
  const room_for_names = (usual) => {
    ctx.font = `${NAME.weight} ${NAME.size}px ${font}`
    const {features, inputs} = model.network
    return features.length ? Math.max(usual, ...inputs.map((name) => ctx.measureText(name).width + 2 * BESIDE)) : usual
  }
  const lay_out = () => {
    const width = box.clientWidth, height = box.clientHeight, {sizes} = model.network, last = sizes.length - 1
    const narrow = width < 560, top = 40, bottom = 22, left = room_for_names(narrow ? 20 : 34)
    const plane = clamp(Math.min(height - top - bottom, width * (narrow ? 0.33 : 0.28)), 84, 420)
    const map = {x: width - plane - 2, y: top + (height - top - bottom - plane) / 2, width: plane, height: plane}
    const own = sizes[last] > 1, room = map.x - left - (narrow ? 14 : 44)
    const hidden = Array.from({length: last - 1}, (_, i) => i + 1), most = Math.max(2, Math.floor(room / 40) - 1 - own)
    const cut = hidden.length > most
    const shown = cut ? [...hidden.slice(0, Math.ceil(most / 2)), 0, ...hidden.slice(-Math.floor(most / 2))] : hidden
    const layers = [0, ...shown.map((layer) => layer || -1), ...own ? [last] : []]
    const pitch = room / Math.max(1, layers.length - (own ? 1 : 0.4)), twice = pitch > 76
    const counts = layers.map((layer) => layer < 0 ? 0 : Math.min(sizes[layer], layer && twice ? 2 * ROWS : ROWS))
    const folded = counts.map((count) => count > ROWS), deepest = Math.max(
      ...counts.map((count, i) => folded[i] ? Math.ceil(count / 2) + 0.5 : count))
    const usable = height - top - bottom
    const size = clamp(Math.min(usable / deepest / 1.16, pitch * (folded.includes(true) ? 0.38 : 0.62)), 10, THUMB)
    const units = [], columns = []
    layers.forEach((layer, place) => {
      const x = left + size / 2 + place * (own ? (room - size / 2) / (layers.length - 1) : pitch)
      columns.push({layer, x, more: layer < 0 ? hidden.length - most : sizes[layer] - counts[place]})
      if (layer < 0) { return }
      const rows = folded[place] ? Math.ceil(counts[place] / 2) + 0.5 : counts[place]
      const apart = Math.min(usable / rows, size * 1.42), high = top + usable / 2 - apart * (rows - 1) / 2
      chosen(sizes[layer], counts[place], picked_in(layer)).forEach((unit, i) => {
        const [side, row] = folded[place] ? [i % 2, Math.floor(i / 2) + i % 2 * 0.5] : [0.5, i]
        units.push({layer, unit, place, x: x + (side - 0.5) * size * 1.3, y: high + row * apart, size})
      })
    })
    const port = {layer: last, unit: 0, place: layers.length, x: map.x, y: map.y + map.height / 2, size: 6}
    if (!own) { units.push(port) }
    const edges = []
    for (const end of units) {
      const starts = units.filter((one) => one.layer === end.layer - 1 && one.place === end.place - 1)
      for (const start of starts) {
        edges.push({start, end, at: weight_at(sizes, end.layer, start.unit, end.unit), share: 0, value: 0})
      }
    }
    lay = {width, height, map, units, edges, columns, size, own, last, pitch, top}
    arrange()
  }
  const fit = () => {
    const key = [box.clientWidth, box.clientHeight, devicePixelRatio, known, String(model.unit), may_edit()].join()
    if (lay && key === lay_key) { return }
    lay_key = key
    lay_out()
    canvas.width = Math.round(lay.width * devicePixelRatio)
    canvas.height = Math.round(lay.height * devicePixelRatio)
    atlas.width = points.wide
    atlas.height = (points.high ?? 1) * (lay.units.length + 1)
    lay.image = points.high ? store.createImageData(atlas.width, atlas.height) : null
    lay.pixels = lay.image && new Uint32Array(lay.image.data.buffer)
  }

  // Colors of the page.

  let ink = "#000", dark = false, font = "sans-serif", looked = 0
  const look = () => {
    if (performance.now() - looked < 300) { return }
    looked = performance.now()
    const styles = getComputedStyle(el)
    const [red, green, blue] = styles.color.match(/[\d.]+/g).map(Number)
    dark = red + green + blue > 380
    ink = dark ? "255, 255, 255" : "20, 28, 40"
    font = styles.fontFamily
    el.style.setProperty("--under", dark ? "#15181c" : "white")
  }
  const faint = (alpha) => `rgba(${ink}, ${alpha})`
  const write = (text, x, y, {align = "center", alpha = 0.66, size = 11, weight = 400} = {}) => {
    ctx.font = `${weight} ${size}px ${font}`
    ctx.textAlign = align
    ctx.fillStyle = faint(alpha)
    ctx.fillText(text, x, y)
  }

  // The drawing.

  const draw = (share) => {
    if (!model.network.sizes || model.parameters?.length !== expected()) { return }
    if (known !== structure()) { begin() }
    if (!box.clientWidth) { return }
    now = at_share(share)
    answers.compute(now)
    look()
    fit()
    ctx.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0)
    ctx.clearRect(0, 0, lay.width, lay.height)
    ctx.textBaseline = "middle"
    weigh()
    draw_edges()
    if (lay.image) { draw_images() }
    lay.units.forEach(draw_unit)
    draw_words()
    draw_map()
    describe()
  }

  const weigh = () => {
    const slopes = model.gradient?.length === now.length ? model.gradient : null
    let most = 0
    if (slopes) { for (const edge of lay.edges) { most = Math.max(most, Math.abs(slopes[edge.at])) } }
    for (const edge of lay.edges) {
      edge.value = now[edge.at]
      edge.slope = slopes ? slopes[edge.at] : null
      const size = Math.abs(slopes ? edge.slope : edge.value)
      // A weight of 1 is half as wide as any can be; of gradients, which are of any size, four powers of ten are shown.
      edge.share = slopes ? size ? clamp(1 + Math.log10(size / most) / 4, 0, 1) : 0 : size / (size + 1)
      if (!(edge.share >= 0)) { edge.share = 1 }
    }
    lay.slopes = Boolean(slopes)
  }
  const bound = (edge) => {
    const one = hover ?? held
    if (one?.edge) { return edge === one.edge }
    return edge.start === one?.unit || edge.end === one?.unit
  }
  const trace = ({start, end}) => {
    const x = start.x + start.size / 2, to_x = end.x - end.size / 2, bend = (to_x - x) * 0.48
    ctx.beginPath()
    ctx.moveTo(x, start.y)
    ctx.bezierCurveTo(x + bend, start.y, to_x - bend, end.y, to_x, end.y)
  }
  const draw_edges = () => {
    const some = Boolean(hover ?? held) && !(hover ?? held).map
    const thin = lay.pitch < 60 || lay.edges.length > 700 ? 0.7 : 1
    ctx.lineCap = "round"
    for (const edge of [...lay.edges].sort((a, b) => a.share - b.share)) {
      const mine = some && bound(edge)
      if (edge.share < 0.015 && !mine) { continue }
      trace(edge)
      ctx.globalAlpha = some ? mine ? clamp(0.35 + edge.share, 0, 1) : 0.06 : clamp(0.1 + 1.05 * edge.share, 0, 0.92)
      ctx.strokeStyle = lay.slopes ? STYLE.slope : edge.value < 0 ? STYLE.negative : STYLE.positive
      ctx.lineWidth = (0.5 + 6.5 * edge.share) * thin
      ctx.stroke()
    }
    ctx.globalAlpha = 1
    for (const {layer, x, more} of lay.columns) {
      if (layer < 0) {
        write("⋯", x, lay.map.y + lay.map.height / 2, {size: 18})
        write(`${more} more`, x, lay.map.y + lay.map.height / 2 + 16, {size: 10})
      }
    }
  }

  const is_port = (unit) => !lay.own && unit.layer === lay.last
  const colors_of = ({layer, unit}) => {
    if (layer < lay.last) { return [...scale_of(answers.units[layer][unit]), ACTIVE] }
    if (model.network.task === "regression") { return [...ends(answers.units[layer][unit]), ACTIVE] }
    return [0, 1, lay.own ? ONE_OF[unit % ONE_OF.length] : TWO]
  }
  const draw_images = () => {
    const cells = points.wide * points.high
    lay.units.forEach((one, place) => {
      const values = one.layer ? answers.units[one.layer][one.unit] : points.inputs[one.unit]
      const colors = one.layer ? colors_of(one) : [...ends(values), ACTIVE]
      paint(lay.pixels.subarray(place * cells, (place + 1) * cells), values, ...colors)
    })
    const whole = lay.pixels.subarray(lay.units.length * cells), one = looked_into()
    const {task} = model.network
    if (one) { paint(whole, values_of(one), ...one.layer ? colors_of(one) : [...ends(values_of(one)), ACTIVE]) }
    else if (task === "classes") { paint_winners(whole, answers.units[lay.last]) }
    else { paint(whole, answers.units[lay.last][0], ...colors_of({layer: lay.last, unit: 0})) }
    store.putImageData(lay.image, 0, 0)
  }
  const values_of = ({layer, unit}) => layer ? answers.units[layer][unit] : points.inputs[unit]
  // The unit whose answers fill the large map, if not the output.
  const looked_into = () => {
    const one = hover?.unit ?? held?.unit
    return one && !is_port(one) ? one : null
  }

  const rounded = (x, y, width, height, radius) => {
    ctx.beginPath()
    ctx.roundRect(x, y, width, height, radius)
  }
  const image = (place, x, y, width, height, radius) => {
    ctx.save()
    rounded(x, y, width, height, radius)
    ctx.clip()
    ctx.imageSmoothingEnabled = points.kind === "plane"
    ctx.imageSmoothingQuality = "high"
    const high = points.high
    ctx.drawImage(atlas, 0, place * high, points.wide, high, x, y, width, height)
    ctx.restore()
  }
  const curve = (values, [low, high], x, y, width, height, color, line) => {
    ctx.beginPath()
    for (let p = 0; p < values.length; p++) {
      const up = clamp((values[p] - low) / (high - low || 1), 0, 1)
      ctx.lineTo(x + p / (values.length - 1) * width, y + height * (1 - up))
    }
    ctx.strokeStyle = color
    ctx.lineWidth = line
    ctx.lineJoin = "round"
    ctx.stroke()
  }
  const draw_unit = (one, place) => {
    const {x, y, size} = one
    if (is_port(one)) { return }
    const left = x - size / 2, top = y - size / 2, radius = Math.min(7, size / 4)
    rounded(left, top, size, size, radius)
    ctx.fillStyle = dark ? "#1c1f24" : "#ffffff"
    ctx.fill()
    if (lay.image) { image(place, left, top, size, size, radius) }
    else {
      const values = values_of(one), [low, high] = one.layer ? scale_of(values) : ends(values)
      curve(values, [low, high], left + 3, top + 4, size - 6, size - 8, between_color(0.55), 1.6)
    }
    const mine = hover?.unit === one || held?.unit === one, picked = picked_in(one.layer) === one.unit
    rounded(left, top, size, size, radius)
    ctx.lineWidth = picked ? 2.5 : mine ? 2 : 1
    ctx.strokeStyle = picked ? STYLE.cursor : faint(mine ? 0.8 : 0.28)
    ctx.stroke()
  }
  const between_color = (share) => `rgb(${between(ACTIVATION, share).join()})`

  const draw_words = () => {
    const {inputs} = model.network
    for (const one of lay.units) {
      if (!one.layer && one.x > 24) {
        write(inputs[one.unit] ?? "", one.x - one.size / 2 - BESIDE, one.y, {align: "right", alpha: 0.8, ...NAME})
      }
    }
    for (const {layer, x, more} of lay.columns) {
      if (layer >= 0 && more > 0) { write(`+${more}${lay.pitch < 60 ? "" : " more"}`, x, lay.height - 8, {size: 10.5}) }
      if (layer >= 0 && !(layer && layer < lay.last)) {
        write(layer ? "output" : "input", x, 14, {size: 11})
      }
    }
    const one = looked_into(), {map} = lay
    const title = one ? named(one) : map.width > 150 ? "what the network answers" : "answers"
    write(title, map.x + map.width / 2, map.y - 10, {size: 11.5, alpha: 0.85, weight: one ? 600 : 400})
  }

  const draw_map = () => {
    const {x, y, width, height} = lay.map, one = looked_into()
    rounded(x, y, width, height, 10)
    ctx.fillStyle = dark ? "#1c1f24" : "#ffffff"
    ctx.fill()
    if (points.kind === "plane") {
      image(lay.units.length, x, y, width, height, 10)
      if (!one && model.network.task === "binary") { draw_level(answers.units[lay.last][0], 0.5) }
      draw_examples()
    } else if (points.kind === "line") { draw_line(one) }
    else { draw_rows(one) }
    rounded(x, y, width, height, 10)
    ctx.lineWidth = 1
    ctx.strokeStyle = faint(0.25)
    ctx.stroke()
  }
  const draw_level = (values, value) => {
    const {x, y, width} = lay.map, cell = width / points.wide
    ctx.beginPath()
    for (const [[x0, y0], [x1, y1]] of level(values, points.wide, value)) {
      ctx.moveTo(x + (x0 + 0.5) * cell, y + (y0 + 0.5) * cell)
      ctx.lineTo(x + (x1 + 0.5) * cell, y + (y1 + 0.5) * cell)
    }
    ctx.strokeStyle = dark ? "rgba(255, 255, 255, 0.75)" : "rgba(60, 70, 85, 0.75)"
    ctx.lineWidth = 1.5
    ctx.stroke()
  }
  const draw_examples = () => {
    const {x, y, width, height} = lay.map, {box, task} = model.network, all = model.examples ?? []
    const [[left, right], [bottom, top]] = box, radius = clamp(width / 85, 1.6, 3.4)
    const [low, high] = task === "regression" ? label_ends() : [0, 1]
    for (let at = 0; at < all.length; at += 3) {
      ctx.beginPath()
      const across = x + (all[at] - left) / (right - left) * width
      ctx.arc(across, y + (top - all[at + 1]) / (top - bottom) * height, radius, 0, 7)
      const label = all[at + 2]
      ctx.fillStyle = task === "regression" ? between_color((label - low) / (high - low || 1)) : class_color(label)
      ctx.fill()
      ctx.lineWidth = 0.8
      ctx.strokeStyle = "white"
      ctx.stroke()
      if (at / 3 === model.example) { ring(across, y + (top - all[at + 1]) / (top - bottom) * height, radius + 4) }
    }
  }
  const ring = (x, y, radius) => {
    ctx.beginPath()
    ctx.arc(x, y, radius, 0, 7)
    ctx.lineWidth = 2.2
    ctx.strokeStyle = STYLE.cursor
    ctx.stroke()
  }
  const label_ends = () => {
    const wide = numbers_of(model.network) + 1, labels = []
    for (let at = wide - 1; at < model.examples.length; at += wide) { labels.push(model.examples[at]) }
    return ends(labels)
  }
  const draw_line = (one) => {
    const {x, y, width, height} = lay.map, all = model.examples ?? [], [[left, right]] = model.network.box
    const [low, high] = one ? one.layer ? scale_of(values_of(one)) : ends(values_of(one)) : label_ends()
    const margin = 0.08 * (high - low || 1), scale = [low - margin, high + margin]
    if (!one) {
      for (let at = 0; at < all.length; at += 2) {
        ctx.beginPath()
        const up = (all[at + 1] - scale[0]) / (scale[1] - scale[0])
        ctx.arc(x + (all[at] - left) / (right - left) * width, y + height * (1 - up), 2.4, 0, 7)
        ctx.fillStyle = `${STYLE.classes[0]}99`
        ctx.fill()
      }
    }
    const outputs = one ? [values_of(one)] : answers.units[lay.last]
    outputs.forEach((values, k) => {
      const color = one ? between_color(0.55) : outputs.length > 1 ? class_color(k) : STYLE.curve
      curve(values, scale, x, y, width, height, color, 2.4)
    })
  }
  const draw_rows = (one) => {
    const {x, y, width, height} = lay.map, {task} = model.network, right = points.right, high = height * 0.3
    image(lay.units.length, x, y + high + 6, width, height - high - 6, 0)
    const [low, top] = task === "regression" ? ends(right) : [0, 1]
    for (let p = 0; p < right.length; p++) {
      ctx.fillStyle = task === "regression" ? between_color((right[p] - low) / (top - low || 1)) : class_color(right[p])
      ctx.fillRect(x + p / right.length * width, y, width / right.length + 0.5, high)
    }
    if (!one) { write("right", x + width / 2, y + high / 2, {alpha: 0.9}) }
  }

  // In words.

  const named = ({layer, unit}) =>
    !layer ? `input ${model.network.inputs[unit]}` : layer === lay.last
      ? lay.own ? `output, class ${unit}` : "output" : `layer ${layer}, unit ${unit + 1}`
  const describe = () => {
    const unit = model.unit.length === 2 ? ` Picked: layer ${model.unit[0] + 1}, unit ${model.unit[1] + 1}.` : ""
    const label = model.sentence + unit
    if (canvas.getAttribute("aria-label") !== label) { canvas.setAttribute("aria-label", label) }
  }
  const explain = () => {
    const one = hover
    tip.hidden = !one || one.map || !popover.hidden
    if (tip.hidden) { return }
    tip.replaceChildren()
    const line = (text, name) => make("div", name, tip, text)
    if (one.edge) {
      const {start, end, value, slope} = one.edge
      line(`${named(start)} → ${named(end)}`, "head")
      line(`weight ${digits(value)}`)
      if (slope !== null) { line(`gradient ${digits(slope)}`) }
      if (may_edit()) { line("click to change it", "hint") }
    } else {
      const {layer, unit} = one.unit, [low, high] = ends(values_of(one.unit))
      line(named(one.unit), "head")
      if (layer) { line(`bias ${digits(now[bias_at(model.network.sizes, layer, unit)])}`) }
      line(low === high ? `${digits(low)} everywhere` : `from ${digits(low)} to ${digits(high)}`)
      if (layer && layer < lay.last) {
        const again = picked_in(layer) === unit
        line(!again ? "click to pick it everywhere" : may_edit() ? "click again to change it" : "picked", "hint")
      }
    }
    beside(tip, one.x, one.y)
  }
  const beside = (part, x, y) => {
    const left = x + 14 + part.offsetWidth > lay.width ? x - 14 - part.offsetWidth : x + 14
    part.style.left = `${clamp(left, 2, Math.max(2, lay.width - part.offsetWidth - 2))}px`
    part.style.top = `${clamp(y - part.offsetHeight / 2, 0, Math.max(0, lay.height - part.offsetHeight))}px`
  }

  // Layers and units, to be added and taken away.

  const arrange = () => {
    buttons.replaceChildren()
    if (!may_edit()) { return }
    const {sizes} = model.network, hidden = sizes.slice(1, -1), compact = lay.pitch < 74
    const act = (parent, text, title, widths, able) => {
      const made = make("button", "", parent, text)
      made.title = title
      made.setAttribute("aria-label", title)
      made.disabled = !able
      made.addEventListener("click", () => model.send_msg({hidden: widths}))
      return made
    }
    const changed = (layer, by) => hidden.map((width, i) => i === layer - 1 ? width + by : width)
    for (const {layer, x} of lay.columns) {
      if (layer <= 0 || layer >= lay.last) { continue }
      const group = make("div", "group", buttons), width = sizes[layer]
      group.style.left = `${x}px`
      if (!compact) { act(group, "−", `One unit fewer in layer ${layer}`, changed(layer, -1), width > 1) }
      make("span", "", group, compact ? String(width) : `${width} unit${width > 1 ? "s" : ""}`)
      if (!compact) { act(group, "+", `One unit more in layer ${layer}`, changed(layer, 1), width < STYLE.units) }
    }
    const group = make("div", "group all", buttons)
    act(group, "−", "Take the last hidden layer away", hidden.slice(0, -1), hidden.length > 0)
    const layers = `${hidden.length}${lay.map.width > 150 ? " hidden" : ""} layer${hidden.length === 1 ? "" : "s"}`
    make("span", "", group, layers)
    act(group, "+", "Add a hidden layer", [...hidden, hidden.at(-1) ?? 4], hidden.length < STYLE.layers)
    group.style.left = `${lay.map.x + lay.map.width / 2}px`
  }

  // A weight or a bias, to be changed.

  const shut = () => {
    if (popover.hidden) { return }
    popover.hidden = true
    opened = null
    canvas.focus({preventScroll: true})
  }
  const open = (title, index, x, y, actions = []) => {
    if (!may_edit()) { return }
    opened = {index, gesture: performance.now()}
    tip.hidden = true
    popover.replaceChildren()
    popover.hidden = false
    popover.setAttribute("role", "dialog")
    popover.setAttribute("aria-label", title)
    const head = make("div", "head", popover, title), close = make("button", "close", head, "×")
    close.setAttribute("aria-label", "Close")
    close.addEventListener("click", shut)
    const row = make("div", "row", popover), slider = make("input", "", row), number = make("input", "", row)
    const value = to[index], reach = Math.max(3, 2 * Math.ceil(Math.abs(value)))
    Object.assign(slider, {type: "range", min: -reach, max: reach, step: reach / 300, value})
    Object.assign(number, {type: "number", step: "any", value: Number(value.toPrecision(4))})
    slider.setAttribute("aria-label", title)
    number.setAttribute("aria-label", `${title}, as a number`)
    let waiting = 0
    const send = (wanted) => {
      if (!Number.isFinite(wanted)) { return }
      clearTimeout(waiting)
      waiting = setTimeout(() => model.send_msg({edit: [[index, wanted]], gesture: opened?.gesture ?? 0}), 40)
    }
    slider.addEventListener("input", () => { number.value = Number(slider.value).toPrecision(3); send(Number(slider.value)) })
    number.addEventListener("change", () => { slider.value = number.value; send(Number(number.value)) })
    for (const [text, doc, edit] of actions) {
      const made = make("button", "wide", popover, text)
      made.title = doc
      made.addEventListener("click", () => { model.send_msg({edit, gesture: performance.now()}); shut() })
    }
    make("div", "hint", popover, "The run goes on from here with it; Undo brings the old one back.")
    beside(popover, x, y)
    slider.focus({preventScroll: true})
  }
  const open_edge = ({start, end, at}, x, y) => open(`Weight: ${named(start)} → ${named(end)}`, at, x, y)
  const open_unit = (one) => {
    const {layer, unit} = one, {sizes} = model.network
    if (!layer) { return }
    const next = Array.from({length: sizes[layer + 1] ?? 0}, (_, j) => [weight_at(sizes, layer + 1, unit, j), 0])
    const mute = ["Mute it", "Set all weights that lead out of it to 0", next]
    open(`Bias: ${named(one)}`, bias_at(sizes, layer, unit), one.x, one.y, next.length ? [mute] : [])
  }

  // The pointer.

  const found = (x, y) => {
    const near = (one) => Math.max(Math.abs(one.x - x), Math.abs(one.y - y)) <= one.size / 2 + 2
    const unit = lay.units.find((one) => !is_port(one) && near(one))
    if (unit) { return {unit, x: unit.x + unit.size / 2, y: unit.y} }
    const {map} = lay
    if (x > map.x && y > map.y && y < map.y + map.height) { return {map: true, x, y} }
    let best = 7, edge = null
    for (const one of lay.edges) {
      const a = one.start.x + one.start.size / 2, b = one.end.x - one.end.size / 2
      if (x < a - 4 || x > b + 4 || one.share < 0.015) { continue }
      for (let i = 0; i <= EDGE_SAMPLES; i++) {
        const t = i / EDGE_SAMPLES, u = 1 - t, bend = (b - a) * 0.48
        const px = u * u * u * a + 3 * u * u * t * (a + bend) + 3 * u * t * t * (b - bend) + t * t * t * b
        const py = one.start.y + (one.end.y - one.start.y) * (3 * u * t * t + t * t * t)
        const away = Math.hypot(px - x, py - y) - 2 * one.share
        if (away < best) { best = away; edge = one }
      }
    }
    return edge ? {edge, x, y} : null
  }
  const place_of = (event) => {
    const {left, top} = canvas.getBoundingClientRect()
    return [event.clientX - left, event.clientY - top]
  }
  const pick = (one) => {
    if (one.layer && one.layer < lay.last) { model.send_msg({unit: [one.layer - 1, one.unit]}) }
  }
  canvas.addEventListener("pointermove", (event) => {
    if (!lay || event.pointerType === "touch") { return }
    const before = hover
    hover = found(...place_of(event))
    canvas.style.cursor = hover?.edge && may_edit() || hover?.unit?.layer ? "pointer" : ""
    if (before?.unit !== hover?.unit || before?.edge !== hover?.edge) { soon() }
    explain()
  })
  canvas.addEventListener("pointerleave", () => { hover = null; tip.hidden = true; soon() })
  canvas.addEventListener("click", (event) => {
    if (!lay) { return }
    const [x, y] = place_of(event), one = found(x, y), touch = event.pointerType === "touch"
    if (!popover.hidden) { shut() }
    if (touch) { held = one?.unit && held?.unit !== one.unit ? one : null }
    if (one?.unit) {
      const {layer, unit} = one.unit
      if (layer && (layer === lay.last || picked_in(layer) === unit)) { open_unit(one.unit) } else { pick(one.unit) }
    } else if (one?.edge) { open_edge(one.edge, x, y) }
    soon()
  })

  // The keyboard: arrows go from unit to unit, Enter opens what is picked.

  const step = (across, down) => {
    const {sizes} = model.network, depth = sizes.length - 2
    if (!depth) { return }
    let [layer, unit] = model.unit.length === 2 ? model.unit : [0, 0]
    if (model.unit.length === 2) {
      layer = clamp(layer + across, 0, depth - 1)
      unit = clamp(unit + down, 0, sizes[layer + 1] - 1)
    }
    model.send_msg({unit: [layer, unit]})
  }
  const press = {
    ArrowLeft: () => step(-1, 0), ArrowRight: () => step(1, 0), ArrowUp: () => step(0, -1), ArrowDown: () => step(0, 1),
    Enter: () => {
      const one = lay?.units.find(({layer, unit}) => picked_in(layer) === unit)
      if (one) { open_unit(one) }
    },
    Escape: () => { held = null; if (model.unit.length) { model.send_msg({unit: []}) } },
  }
  canvas.addEventListener("keydown", (event) => {
    if (!REST.includes(event.key) || event.ctrlKey || event.metaKey || event.altKey) { return }
    event.preventDefault()
    event.stopPropagation()
    press[event.key]()
    soon()
  })
  popover.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { event.stopPropagation(); shut() }
    if (event.key.startsWith("Arrow") || event.key === " ") { event.stopPropagation() }
  })

  // What makes it draw.

  const sized = new ResizeObserver(soon), viewed = new IntersectionObserver((entries) => {
    seen = entries[entries.length - 1].isIntersecting
    soon()
  }, {rootMargin: "60px"})
  sized.observe(box)
  viewed.observe(box)
  const themes = setInterval(() => {
    const before = dark
    looked = 0
    if (seen && lay) { look(); if (before !== dark) { soon() } }
  }, 500)
  take()
  model.on("parameters", take)
  for (const name of ["network", "examples", "gradient", "unit", "example", "sentence", "editable"]) { model.on(name, soon) }
  model.on("remove", () => {
    clearInterval(themes)
    sized.disconnect()
    viewed.disconnect()
    cancelAnimationFrame(frame)
    seen = false
  })
}
