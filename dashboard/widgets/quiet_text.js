// Texts in the quiet color get the one that can be read on the page's ground. Bokeh has one color for both themes.
const EVERY_MS = 1000

export function render({model, el}) {
  el.style.display = "none"
  const [quiet, light, dark] = model.colors
  const known = [quiet, light, dark]
  const dress = () => {
    if (document.hidden) { return }
    const wanted = getComputedStyle(document.documentElement).colorScheme === "dark" ? dark : light
    for (const view of Bokeh.index.query(({model: one}) => (one.type ?? "").endsWith("Figure"))) {
      for (const {glyph} of view.model.renderers) {
        const now = glyph?.type === "Text" ? glyph.text_color?.value : null
        if (known.includes(now) && now !== wanted) { glyph.setv({text_color: {value: wanted}}, {sync: false}) }
      }
    }
  }
  const dressing = setInterval(dress, EVERY_MS)
  dress()
  model.on("remove", () => clearInterval(dressing))
}
