// Every file that leaves a page is saved here: what the page has made, and what its server has.

// Saves a blob under a name.
export const save = (blob, name) => {
  const link = document.createElement("a")
  link.href = URL.createObjectURL(blob)
  link.download = name
  link.click()
  setTimeout(() => URL.revokeObjectURL(link.href), 60000)
}

// A function that requests a file of a component from the server and gives its name and blob, or fails with what the
// server says. The file comes in pieces, one file after the other.
export const filesOf = (model, type = "application/octet-stream") => {
  let receive = () => {}, last = Promise.resolve()
  model.on("msg:custom", (message) => { if (message.download != null) { receive(message) } })
  const piece = (file, start) => new Promise((resolve) => {
    receive = resolve
    model.send_msg({download: file, start})
  })
  const whole = async (file) => {
    const pieces = []
    let start = 0, answer
    do {
      answer = await piece(file, start)
      if (answer.trouble) { throw new Error(answer.trouble) }
      pieces.push(answer.data)
      start += answer.data.byteLength
    } while (start < answer.size)
    return {blob: new Blob(pieces, {type}), name: answer.name}
  }
  return (file) => {
    const found = last.then(() => whole(file))
    last = found.catch(() => {})
    return found
  }
}
