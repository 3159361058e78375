const SVG = "http://www.w3.org/2000/svg", QUIET = 4  // modules of white around a code, which its standard asks for

export function render({model, el}) {
  const figure = document.createElement("figure"), caption = document.createElement("figcaption")
  const draw = () => {
    const {rows, link} = model, size = rows.length + 2 * QUIET
    figure.hidden = !link
    caption.textContent = link
    figure.replaceChildren(caption)
    if (!rows.length) { return }
    const picture = document.createElementNS(SVG, "svg"), ground = document.createElementNS(SVG, "rect")
    const code = document.createElementNS(SVG, "path")
    const dark = rows.flatMap((row, y) => [...row].map((one, x) => one === "1" ? `M${x + QUIET} ${y + QUIET}h1v1h-1z` : ""))
    picture.setAttribute("viewBox", `0 0 ${size} ${size}`)
    picture.setAttribute("shape-rendering", "crispEdges")
    picture.setAttribute("role", "img")
    picture.setAttribute("aria-label", "QR code of the link to follow")
    ground.setAttribute("width", size)
    ground.setAttribute("height", size)
    ground.setAttribute("fill", "#fff")
    code.setAttribute("d", dark.join(""))
    code.setAttribute("fill", "#000")
    picture.append(ground, code)
    figure.prepend(picture)
  }
  model.on("rows", draw)
  model.on("link", draw)
  draw()
  el.append(figure)
}
