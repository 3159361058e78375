// The code of all Material widgets, given as text: one module of the page, which each widget imports.
(source) => {
  window.descentLabWidgets ??= (async () => {
    while (!window.importShim) { await new Promise((resolve) => setTimeout(resolve, 20)) }
    return await importShim(URL.createObjectURL(new Blob([source], {type: "text/javascript"})))
  })()
}
