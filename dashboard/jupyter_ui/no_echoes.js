// Panel's page sends the kernel all that the kernel has just sent it: seconds of work a frame, and an echo.
() => {
  window.descentLabNoEchoes ??= (async () => {
    while (!window.Bokeh?.Panel) { await new Promise((resolve) => setTimeout(resolve, 20)) }
    const {prototype} = Bokeh.Models._known_models.get("panel.models.comm_manager.CommManager")
    const {_document_changed} = prototype
    prototype._document_changed = function (event) { if (event.sync !== false) { _document_changed.call(this, event) } }
  })()
}
