const TYPING = "input:not([type=range], [type=checkbox]), textarea, [role=combobox], [role=option]"
const PRESSING = "button, a, [role=button], [role=switch], [role=checkbox], summary, input[type=checkbox]"
const SLIDING = "input[type=range], [role=slider], [role=radio], [role=tab]"
const KEYS = {
  " ": "space", "r": "r", "R": "r", "ArrowRight": "right", "ArrowLeft": "left", "Home": "home", "End": "end",
}
const ALONG = ["right", "left", "home", "end"]

const roots = () => Bokeh.documents.flatMap((document) => document.roots())
const whole = () => roots().find((root) => root.class_name === "Page")

// The page follows the user's system, or what they chose here before; on a phone its drawer starts closed.
const suit = () => {
  const page = whole()
  if (!page) { return }
  const chosen = localStorage.getItem("descent-lab-theme")
  page.data.dark_theme = chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches
  if (innerWidth < 600) { page.data.sidebar_open = false }
  // The class that Material UI puts on the page is that of the system, whatever a user has chosen here.
  const show = () => { document.documentElement.dataset.labTheme = page.data.dark_theme ? "dark" : "light" }
  const keep = () => {
    show()
    localStorage.setItem("descent-lab-theme", page.data.dark_theme ? "dark" : "light")
  }
  show()
  page.data.properties.dark_theme.change.connect(keep)
}

export function render({model, el}) {
  el.style.display = "none"
  suit()
  // Where the laboratory is not the whole window, as in a notebook, only keys pressed within it are its own.
  const within = () => {
    let outermost = el
    while (outermost.getRootNode() !== document) { outermost = outermost.getRootNode().host }
    return outermost.parentElement
  }
  const receive = (event) => {
    if (!whole() && !event.composedPath().includes(within())) { return }
    const undo = (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key === "z"
    const key = undo ? "undo" : KEYS[event.key], target = event.composedPath()[0]
    const is = (selector) => target instanceof Element && target.matches(selector)
    const along = ALONG.includes(key)
    const combined = !undo && (event.ctrlKey || event.metaKey) || event.altKey || event.repeat && !along
    if (!key || combined || is(TYPING)) { return }
    if (key === "space" && is(PRESSING) || along && is(SLIDING)) { return }
    event.preventDefault()
    model.send_msg(key)
  }
  window.addEventListener("keydown", receive)
  model.on("frame", () => requestAnimationFrame(() => setTimeout(() => { model.shown = model.frame }, 0)))
  model.on("remove", () => window.removeEventListener("keydown", receive))
}
