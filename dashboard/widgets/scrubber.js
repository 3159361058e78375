let last = null  // the scrubber of the bar that is on the page

// Tell the page how much of a phone's window the bar takes, which is a sheet at its foot there.
function tellHeight(el) {
  const root = document.documentElement.style
  let bar = null
  const observer = new ResizeObserver(() => {
    if (!bar) {
      for (bar = el; bar && !bar.matches?.(".playback");) { bar = bar.parentNode ?? bar.host }
      if (bar) { observer.observe(bar) }
    }
    const covers = bar && getComputedStyle(bar).position === "fixed"
    if (last === el) { root.setProperty("--sheet", `${covers ? bar.offsetHeight : 0}px`) }
  })
  last = el
  observer.observe(el)
  return () => {
    observer.disconnect()
    if (last === el) { root.removeProperty("--sheet") }
  }
}

export function render({model, el}) {
  const make = (kind, name, parent) => {
    const made = document.createElement(kind)
    made.className = name
    parent.append(made)
    return made
  }
  const track = make("div", "track", el), words = make("div", "words", el)
  const slider = make("input", "", track), ticks = make("div", "ticks", track)
  const kept = make("span", "kept", words), list = make("span", "marks", words)
  slider.type = "range"
  slider.min = 0
  slider.setAttribute("aria-label", "Epoch")
  slider.title = "Take all pictures back to an epoch (arrow keys, Home, End)"
  const share = (epoch) => epoch / Number(slider.max)
  const fill = () => slider.style.setProperty("--share", `${100 * share(slider.value)}%`)
  const follow = () => {
    slider.max = Math.max(1, model.newest)
    slider.value = model.shown
    slider.disabled = !model.newest
    fill()
    // The thumb is 14 pixels wide and stays inside the track.
    for (const tick of ticks.children) {
      const at = share(tick.dataset.epoch)
      tick.style.left = `calc(${100 * at}% + ${7 - 14 * at}px)`
    }
  }
  const mark = () => {
    ticks.replaceChildren()
    list.replaceChildren()
    for (const [epoch, title] of model.marks) {
      const tick = make("i", "", ticks), button = make("button", "", list)
      tick.dataset.epoch = epoch
      make("b", "", button).textContent = epoch.toLocaleString("en")
      button.append(` ${title}`)
      button.title = `Take all pictures to epoch ${epoch}: ${title}`
      button.addEventListener("click", () => model.send_msg(epoch))
    }
    follow()
  }
  const say = () => { kept.textContent = model.kept }
  // Its end is the newest epoch, which is another one by the time that this is received.
  const chosen = () => slider.value === slider.max ? "newest" : Number(slider.value)
  slider.addEventListener("input", () => { fill(); model.send_msg(chosen()) })
  mark()
  say()
  model.on("newest", follow)
  model.on("shown", follow)
  model.on("marks", mark)
  model.on("kept", say)
  model.on("remove", tellHeight(el))
}
