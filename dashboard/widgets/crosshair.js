// Where the pointer is over a picture with an epoch axis, a line shows the same epoch in all the others.
const AXIS = "epoch", FRESH_MS = 1000

export function render({model, el}) {
  el.style.display = "none"
  let charts = [], since = -Infinity, asked = 0
  const lines = new Map()

  const find = () => {
    if (performance.now() - since < FRESH_MS) { return }
    since = performance.now()
    const is_timed = ({model: one}) => (one.type ?? "").endsWith("Figure") && one.below[0]?.axis_label === AXIS
    charts = [...Bokeh.index.query(is_timed)]
    for (const [view, line] of lines) { if (!charts.includes(view)) { line.remove(); lines.delete(view) } }
  }
  const line_of = (view) => {
    if (!lines.has(view)) {
      const line = document.createElement("div")
      line.className = "crosshair"
      line.style.cssText = "position: absolute; width: 0; pointer-events: none; z-index: 5; opacity: .75;" +
        "border-left: 1px solid var(--accent, #3b5bdb); font: 11px system-ui, sans-serif; text-indent: 3px;" +
        "color: var(--accent, #3b5bdb); white-space: nowrap"
      view.shadow_el.append(line)
      lines.set(view, line)
    }
    return lines.get(view)
  }
  const clear = () => { for (const line of lines.values()) { line.style.display = "none" } }
  const show = (view, epoch) => {
    const {start, end} = view.model.x_range, line = line_of(view), {bbox, x_scale} = view.frame
    const inside = epoch >= Math.floor(start) && epoch <= end
    line.style.display = inside ? "" : "none"
    line.style.left = `${Math.round(x_scale.compute(Math.max(epoch, start)))}px`
    line.style.top = `${bbox.top}px`
    line.style.height = `${bbox.height}px`
    line.textContent = epoch.toLocaleString("en")
  }
  const place = (path, x) => {
    find()
    const over = charts.find((view) => path.includes(view.el))
    if (!over) { clear(); return }
    const {bbox, x_scale} = over.frame, along = x - over.canvas_view.el.getBoundingClientRect().left
    if (along < bbox.left || along > bbox.right) { clear(); return }
    const epoch = Math.max(0, Math.round(x_scale.invert(along)))
    for (const view of charts) {
      if (view === over) { if (lines.has(view)) { lines.get(view).style.display = "none" } } else { show(view, epoch) }
    }
  }
  const move = (event) => {
    if (event.pointerType === "touch") { return }
    const path = event.composedPath(), x = event.clientX
    cancelAnimationFrame(asked)
    asked = requestAnimationFrame(() => place(path, x))
  }
  window.addEventListener("pointermove", move)
  document.addEventListener("pointerleave", clear)
  model.on("remove", () => {
    cancelAnimationFrame(asked)
    for (const line of lines.values()) { line.remove() }
    window.removeEventListener("pointermove", move)
    document.removeEventListener("pointerleave", clear)
  })
}
