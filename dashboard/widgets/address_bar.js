const SAME = 1000, OTHER = 250  // ms from one change of a setting to the next, and to one of another setting
const UNSEEN = ["run", "epoch", "weights"]  // said of a run, not set

export function render({model, el}) {
  el.style.display = "none"
  let press = 0, pressed = -Infinity, target = null, requested = 0
  let visit = null, answered = 0, stepped = 0, changed = -Infinity, names = new Set()

  // One press is all from a pointer's going down to the next, or keys on one thing in quick succession.
  const input = (event) => {
    const now = performance.now(), at = event.composedPath()[0]
    const afresh = {
      pointerdown: true, keydown: at !== target || now - pressed > SAME, click: now - pressed > OTHER, drop: true,
    }
    if (afresh[event.type]) { press += 1 }
    pressed = now
    target = at
  }
  const INPUTS = ["pointerdown", "pointerup", "keydown", "click", "drop"]
  for (const name of INPUTS) { window.addEventListener(name, input, {capture: true, passive: true}) }

  const differing = (query) => {
    const [before, after] = [location.search, query].map((text) => new URLSearchParams(text))
    const all = new Set([...before.keys(), ...after.keys()])
    return [...all].filter((name) => !UNSEEN.includes(name) && before.get(name) !== after.get(name))
  }
  const write = () => {
    const {query, visit: here, answers} = model.entry
    if (!query || answers < requested) { return }
    const now = performance.now(), first = visit == null, answer = answers > answered
    const opened = !first && visit !== here, different = differing(query)
    const goesOn = press === stepped || now - changed < (different.every((name) => names.has(name)) ? SAME : OTHER)
    const isStep = !first && !answer && (opened || different.length > 0 && !goesOn)
    visit = here
    answered = answers
    if (first || answer || opened || isStep) { names = new Set(); stepped = press; changed = -Infinity }
    if (query === location.search) { return }
    if (!opened && different.length) { names = new Set([...names, ...different]); changed = now }
    history[isStep ? "pushState" : "replaceState"](history.state, "", location.pathname + query + location.hash)
  }

  const travel = () => {
    if (requested === answered && location.search === model.entry.query) { return }
    requested += 1
    model.send_msg({query: location.search, step: requested})
  }
  window.addEventListener("popstate", travel)

  // A link within the laboratory swaps the page, as its menu does; with a key held it opens another window.
  const click = (event) => {
    const held = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey || event.button
    const link = event.composedPath().find((one) => one instanceof Element && one.matches("a[href^='?']"))
    if (!link || held || event.defaultPrevented || link.target && link.target !== "_self") { return }
    if (link.download || new URLSearchParams(link.search).has("epoch")) { return }
    event.preventDefault()
    model.send_msg({query: link.getAttribute("href"), step: null})
  }
  window.addEventListener("click", click)

  // Back and Forward as keys, which a slider that has the keyboard would take for its own arrows.
  const ways = (event) => {
    const way = {ArrowLeft: -1, ArrowRight: 1}[event.key], target = event.composedPath()[0]
    const alone = event.altKey && !event.ctrlKey && !event.metaKey && !event.shiftKey
    if (!way || !alone || !(target instanceof Element && target.matches("[type=range], [role=slider]"))) { return }
    event.preventDefault()
    event.stopImmediatePropagation()
    if (!event.repeat) { history.go(way) }
  }
  window.addEventListener("keydown", ways, {capture: true})

  write()
  model.on("entry", write)
  model.on("remove", () => {
    for (const name of INPUTS) { window.removeEventListener(name, input, {capture: true}) }
    window.removeEventListener("popstate", travel)
    window.removeEventListener("click", click)
    window.removeEventListener("keydown", ways, {capture: true})
  })
}
