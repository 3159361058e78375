// What is between a page and its kernel. A busy kernel receives only what has a thread of its own there, for which
// JupyterLab asks at the first message: so a comm is opened again until it is answered. What is sent before the kernel
// listens would be lost, and so would be what the kernel sends before the output is drawn, piece by piece of a message:
// they wait. And the kernel is told of an output that is gone, as JupyterLab's extension means to.
() => {
  const manager = window.PyViz?.comm_manager
  if (!manager || manager.insistent) { return }
  manager.insistent = true
  const {register_target, get_client_comm} = manager, outputs = new Map()
  const isDrawn = (plot) => window.PyViz.plot_index[plot] != null || window.Bokeh?.index[plot] != null
  const onceDrawn = (plot, receive) => {
    const waiting = []
    const pass = () => {
      if (isDrawn(plot) || !(plot in window.PyViz.kernels)) {
        for (const message of waiting.splice(0)) { receive(message) }
      } else {
        setTimeout(pass, 20)
      }
    }
    return (message) => { if (waiting.push(message) === 1) { pass() } }
  }
  const onAnswer = (plot) => {
    const {waiting, send} = outputs.get(plot) ?? {waiting: []}
    for (const message of waiting.splice(0)) { send(...message) }
    outputs.set(plot, {...outputs.get(plot), isAnswered: true})
  }
  manager.register_target = (plot, target, receive) => {
    const kernel = window.PyViz.kernels[plot]
    if (!kernel) { return register_target.call(manager, plot, target, receive) }
    kernel.registerCommTarget(target, (comm) => { comm.onMsg = onceDrawn(plot, receive); onAnswer(plot) })
  }
  manager.get_client_comm = (plot, target, receive) => {
    const kernel = window.PyViz.kernels[plot], comm = get_client_comm.call(manager, plot, target, receive)
    if (!kernel) { return comm }
    const {send} = comm, waiting = []
    outputs.set(plot, {kernel, send, waiting, isAnswered: false})
    comm.send = (...message) => outputs.get(plot)?.isAnswered === false ? waiting.push(message) : send(...message)
    const openAgain = (wait) => {
      if (outputs.get(plot)?.isAnswered !== false) { return }
      try { comm.open() } catch { return }  // the kernel has gone
      if (wait < 10000) { setTimeout(() => openAgain(2 * wait), wait) }
    }
    setTimeout(() => openAgain(500), 250)
    return comm
  }
  setInterval(() => {
    for (const [plot, {kernel}] of outputs) {
      if (plot in window.PyViz.kernels) { continue }
      outputs.delete(plot)
      const comm = kernel.connectToComm("hv-extension-comm")
      comm.open()
      comm.send({event_type: "delete", id: plot})
    }
  }, 1000)
}
