// Requests the live page from the kernel in the place of an output's image, and with it all that a page needs where it
// has none yet. The image is what a notebook keeps. When it is drawn anew, the live page stays; when the kernel or the
// output is gone, so is the live page, and the image is left. `key` is that of the output, `ref` that of what is live.
(key, ref) => {
  const place = document.currentScript?.closest("[data-descent-lab]")
  window.descentLabOutputs ??= {live: {}, places: {}, drawn: {}, loading: null}
  window.descentLabOutputs.state ??= {}  // outputs of an older version on the same page have none
  const lab = window.descentLabOutputs
  const kernels = () => window.PyViz?.kernels ?? {}

  // Beside what the notebook keeps, so that it stays as it is while that is drawn anew.
  const show = () => {
    const {element} = lab.live[key], place = lab.places[key], node = place.parentElement.parentElement
    if (element.parentNode !== node) { node.append(element) }
    place.querySelector(".still").hidden = true
  }
  const forget = () => {
    const {element, target} = lab.live[key], still = lab.places[key].querySelector(".still")
    delete lab.live[key]
    delete lab.state[key]
    element.remove()
    if (still) { still.hidden = false }
    if (target != null) { delete kernels()[target]; delete window.PyViz.plot_index?.[target] }
    const found = window.Bokeh?.index[target]?.model.document
    if (found) { found.clear(); Bokeh.documents.splice(Bokeh.documents.indexOf(found), 1) }
  }
  const run = (text) => {
    const script = document.createElement("script")
    script.textContent = text
    document.head.append(script)
  }
  const unpacked = async (buffer) => {
    const bytes = new Blob([buffer]).stream().pipeThrough(new DecompressionStream("deflate"))
    return JSON.parse(await new Response(bytes).text())
  }
  const until = async (isTrue) => { while (!isTrue()) { await new Promise((done) => setTimeout(done, 20)) } }

  const receive = async (_, message) => {
    if (lab.state[key] !== "requested") { return }
    lab.state[key] = "received"
    const {html, scripts} = await unpacked(message.buffers[0])
    if (html != null) { await until(() => lab.places[key].isConnected || !(key in kernels())) }
    if (html == null || !lab.places[key].isConnected) { lab.state[key] = "none"; return }
    lab.loading ??= scripts && (async () => { for (const script of scripts) { run(script) } })()
    await until(() => window.Bokeh?.Panel && window.PyViz?.comm_manager?.insistent)
    const element = document.createElement("div")
    element.innerHTML = html
    kernels()[ref] = kernels()[key]
    lab.live[key] = {element, target: ref, missing: 0, forget}
    show()
    for (const script of element.querySelectorAll("script")) {
      const made = document.createElement("script")
      for (const {name, value} of script.attributes) { made.setAttribute(name, value) }
      made.textContent = script.textContent
      script.replaceWith(made)
    }
  }

  const begin = (time) => {
    // An output is drawn before it is put on the page, and it may be drawn anew before that.
    if (lab.drawn[key] !== place) { return }
    if (!place.isConnected) {
      if (key in kernels() || time < 50) { setTimeout(() => begin(time + 1), time < 50 ? 20 : 1000) }
      return
    }
    const kernel = kernels()[key]
    if (!kernel) { return }
    lab.places[key] = place
    if (lab.live[key]) { kernels()[ref] = kernel; return show() }
    // Once at a time: the image may be drawn anew while the live page is still being made.
    if (["requested", "received"].includes(lab.state[key])) { return }
    lab.state[key] = "requested"
    kernel.registerCommTarget(key, (comm, message) => receive(comm, message))
    // The same one again: a busy kernel receives it once it has got a thread of its own, for which JupyterLab asks.
    const comm = kernel.connectToComm("descent-lab")
    const request = (time) => {
      if (lab.state[key] !== "requested" || !(key in kernels()) || time > 20) { return }
      try { comm.open({key, scripts: !window.Bokeh?.Panel && !lab.loading}) } catch { return }  // the kernel has gone
      setTimeout(() => request(time + 1), Math.min(500 * 2 ** time, 30000))
    }
    request(0)
  }
  // JupyterLab's extension learns of a kernel that has died, but not of one that was shut down or swapped for another:
  // a comm of this name can be made once with each.
  const isThere = (name, live) => {
    try {
      const {active} = kernels()[name].connectToComm("descent-lab", `descent-lab-is-there-${name}`)
      const first = !live.isKnown
      live.isKnown = true
      return active !== false && first
    } catch { return true }
  }
  lab.watch ??= setInterval(() => {
    for (const [name, live] of Object.entries(lab.live)) {
      live.missing = name in kernels() ? 0 : live.missing + 1
      if (live.missing > 1 || !live.missing && !isThere(name, live)) { live.forget() }
    }
  }, 1000)
  if (place && lab.live[key]) { place.querySelector(".still").hidden = true }
  // Where JupyterLab's extension draws an output anew, it takes off a script that it has never put there, and fails.
  const node = place?.parentElement?.parentElement
  if (node) {
    node.removeChild = (child) => child.parentNode === node ? Node.prototype.removeChild.call(node, child) : child
  }
  if (place) { lab.drawn[key] = place; setTimeout(() => begin(0), 0) }
}
