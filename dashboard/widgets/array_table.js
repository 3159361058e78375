export function render({model, el}) {
  const make = (tag, name, text) => {
    const made = document.createElement(tag)
    if (name) { made.className = name }
    if (text) { made.textContent = text }
    return made
  }
  const bar = make("div", "bar"), words = make("div", "words"), all = make("div", "all")
  const button = (text, title, move) => {
    const made = make("button", "", text)
    made.title = title
    made.addEventListener("click", () => model.send_msg({move}))
    return made
  }
  const place = make("span", "place"), name = make("span", "formula"), note = make("div", "note")
  bar.append(button("‹", "One stage back", -1), place, button("›", "One stage on", 1), name)
  let cells = [], boxes = []
  const build = () => {
    all.replaceChildren()
    let group, part
    boxes = []
    cells = model.tables.map((table) => {
      if (table.part !== part) {
        part = table.part
        group = make("div", "group")
        all.append(make("h3", "", part), group)
      }
      const box = make("div", "box"), head = make("button", "head"), grid = make("table")
      head.append(make("b", "", table.name), make("small", "", table.shape))
      head.title = `${table.name} = ${table.formula}`
      head.addEventListener("click", () => model.send_msg({stage: table.name}))
      const mine = []
      table.rows.forEach((row, i) => {
        const line = make("tr", i && row !== table.rows[i - 1] + 1 ? "gap" : "")
        table.columns.forEach((column, j) => {
          const cell = make("td", j && column !== table.columns[j - 1] + 1 ? "jump" : "")
          cell.dataset.kind = cell.className
          cell.addEventListener("click", () => model.send_msg({stage: table.name, row, column}))
          line.append(cell)
          mine.push([cell, row, column])
        })
        grid.append(line)
      })
      box.append(head, grid)
      if (table.more) { box.append(make("small", "more", table.more)) }
      group.append(box)
      boxes.push(box)
      return mine
    })
  }
  const write = () => {
    for (const [at, entries] of model.numbers.entries()) {
      for (const [i, [cell]] of (cells[at] ?? []).entries()) {
        if (cell.textContent !== entries[i]) { cell.textContent = entries[i] }
      }
    }
  }
  const mark = () => {
    const picked = model.picked, table = model.tables[picked.place]
    if (!table) { return }
    place.textContent = `${picked.place + 1} of ${model.tables.length}`
    name.textContent = `${table.name} = ${table.formula}`
    words.textContent = picked.words
    note.textContent = picked.note
    boxes.forEach((box, at) => {
      const one = model.tables[at]
      box.className = "box" + (at === picked.place ? " now" : "") + (at > picked.place ? " later" : "")
        + (picked.wrong.includes(one.name) ? " wrong" : "")
      for (const [cell, row, column] of cells[at]) {
        const here = at === picked.place && row === picked.row && column === picked.column
        const is = ([of, r, c]) => of === one.name && (r ?? row) === row && (c ?? column) === column
        const used = picked.uses.some(is)
        const example = one.examples && row === picked.example
        const kind = [cell.dataset.kind, here ? "here" : "", used ? "used" : "", example ? "example" : ""]
        const wanted = kind.filter(Boolean).join(" ")
        if (cell.className !== wanted) { cell.className = wanted }
      }
    })
  }
  const redo = () => { build(); write(); mark() }
  redo()
  model.on("tables", redo)
  model.on("numbers", write)
  model.on("picked", mark)
  el.append(bar, words, note, all)
}
