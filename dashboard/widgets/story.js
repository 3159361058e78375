// The steps of a page as links: a click chooses one, a middle click opens it in another tab.
const element = (kind, name, text = "") => {
  const made = document.createElement(kind)
  made.className = name
  made.textContent = text
  return made
}

const STILL = "(prefers-reduced-motion: reduce)", OUTLINED_MS = 400
const ABOUT = [".third.about", ".half.about", ".whole.about"].join()

// The card that the chosen step is about, wherever it is.
const outlined = (root = document.body) => {
  const here = root.querySelector(ABOUT)
  if (here) { return here }
  for (const one of root.querySelectorAll("*")) {
    const found = one.shadowRoot && outlined(one.shadowRoot)
    if (found) { return found }
  }
  return null
}
// Once it is outlined, which takes a moment, it is scrolled to as far as it is out of sight.
const reveal = () => setTimeout(() => {
  outlined()?.scrollIntoView({block: "nearest", behavior: matchMedia(STILL).matches ? "auto" : "smooth"})
}, OUTLINED_MS)

export function render({model, el}) {
  const steps = element("ol", "steps"), sentence = element("p", "doc")
  const back = element("button", "turn", "Back"), next = element("button", "turn next", "Next")
  const line = element("div", "line"), turns = element("div", "turns")
  sentence.setAttribute("role", "status")
  back.title = "The step before this one"
  next.title = "The next step of this page"

  let taken = false
  const choose = (step) => { taken = true; model.send_msg(step) }
  const link = (step, place) => {
    const item = element("li", ""), made = element("a", "step")
    const number = element("i", "", String(place + 1))
    number.setAttribute("aria-hidden", "true")
    made.append(number, element("span", "", step.label))
    made.href = step.link
    made.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) { return }
      event.preventDefault()
      if (!model.locked) { choose(place + 1) }
    })
    if (model.locked) { made.setAttribute("aria-disabled", "true") }
    item.append(made)
    return item
  }
  // Once the page's intro is folded the steps stand in one line, and nothing is said before one is chosen.
  const fold = () => {
    steps.classList.toggle("one-line", !model.is_open)
    line.hidden = !model.is_open && !model.step
  }
  const mark = () => {
    const links = [...steps.querySelectorAll("a")], {step} = model
    links.forEach((made, place) => {
      if (place + 1 === step) { made.setAttribute("aria-current", "step") } else { made.removeAttribute("aria-current") }
    })
    sentence.textContent = step ? model.steps[step - 1]?.doc ?? "" : model.opening
    back.disabled = model.locked || step <= 1
    next.disabled = model.locked || step >= model.steps.length
    next.textContent = step ? "Next" : "Begin"
    const current = links[step - 1]
    // Where the steps do not fit beside one another, the chosen one is kept in sight; the page itself stays.
    fold()
    if (current) { steps.scrollLeft = Math.max(0, current.offsetLeft - steps.offsetLeft - 40) }
  }
  const draw = () => { steps.replaceChildren(...model.steps.map(link)); mark() }

  back.addEventListener("click", () => choose(model.step - 1))
  next.addEventListener("click", () => choose(model.step + 1))
  turns.append(back, next)
  line.append(sentence, turns)
  el.append(steps, line)
  draw()
  model.on("steps", draw)
  model.on("step", () => {
    mark()
    if (taken) { reveal() }
    taken = false
  })
  model.on("is_open", fold)
}
