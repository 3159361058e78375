const QUIET = 500, PATIENCE = 900, BEAT = 100, LONG = 3000  // ms
const WORTH_SAYING = 2, READ = 8000  // s of silence whose end is said, and for how many ms
const NOTE = "descent-lab-return"
const WITHOUT_A_RUN = ["run", "follow", "feed", "entry"]  // in an address: what is shown is not made from settings
const FARTHEST = 1e6

const BANNER = {
  position: "fixed", top: "0", left: "0", right: "0", zIndex: "10000", padding: "9px 16px", color: "#fff",
  font: "500 14px/1.4 system-ui, sans-serif", textAlign: "center", boxShadow: "0 1px 6px #0006",
  boxSizing: "border-box",
}
const VEIL = {
  position: "fixed", inset: "0", zIndex: "9999", background: "#8b95a366", backdropFilter: "grayscale(1)",
}
const COLORS = {gone: "#c92a2a", silent: "#a8500b", back: "#2b6a4d"}

const time = (when) => new Date(when).toLocaleTimeString()
const models = () => Bokeh.documents.flatMap((one) => one.roots()).flatMap((one) => [...one.references()])
// The time line does not follow every frame, the numbers above it do.
const epoch = () => {
  const epochs = models().map((one) => one.class_name === "Scrubber" ? one.data.newest :
    /<dt[^>]*>epoch<.dt>\s*<dd[^>]*>([\d,]+)/.exec(one.text ?? "")?.[1].replaceAll(",", ""))
  return Math.max(0, ...epochs.map(Number).filter(Number.isFinite))
}

export function render({model, el}) {
  el.style.display = "none"
  let received = performance.now(), lastWord = Date.now(), beat = performance.now()
  let requesting = false, gone = false, leaving = false, banner = null, shown = "", news = ""
  let timer, hiding

  const veil = document.createElement("div")
  Object.assign(veil.style, VEIL)
  const show = (kind, words) => {
    clearTimeout(hiding)
    if (!banner) {
      banner = document.createElement("div")
      Object.assign(banner.style, BANNER)
      document.body.append(banner)
    }
    banner.setAttribute("role", kind === "back" ? "status" : "alert")
    banner.style.background = COLORS[kind]
    if (banner.textContent !== words) { banner.textContent = words }
    if (kind === "back") {
      const close = document.createElement("button")
      close.textContent = "Close"
      close.setAttribute("aria-label", "Close the message of the server")
      Object.assign(close.style, {marginLeft: "14px", font: "inherit", cursor: "pointer"})
      close.addEventListener("click", () => { news = ""; hide() })
      banner.append(close)
    }
    shown = kind
    dim()
  }
  const hide = () => { clearTimeout(hiding); banner?.remove(); banner = null; shown = ""; dim() }

  // What stands on the page is of the past then; of a server that is gone nothing can be requested either.
  const dim = () => {
    const past = shown === "gone" || shown === "silent"
    document.documentElement.style.setProperty("--of-now", past ? "hidden" : "visible")
    document.documentElement.style.setProperty("--past-prefix", past ? '"When last heard of: "' : '""')
    veil.remove()
    veil.style.pointerEvents = shown === "gone" ? "auto" : "none"
    for (const one of document.body.children) { one.inert = shown === "gone" && one !== banner }
    if (past) { banner.before(veil) }
  }

  const answers = async (patience) => {
    const request = new AbortController(), began = performance.now()
    const limit = setTimeout(() => request.abort(), patience)
    const how = {method: "HEAD", cache: "no-store", redirect: "manual", signal: request.signal}
    try {
      const answer = await fetch(new URL("static/js/bokeh.min.js", location.href), how)
      return answer.status < 500 ? "yes" : "no"
    } catch {
      if (!request.signal.aborted) { return "no" }
      return performance.now() - began > patience + 500 ? "perhaps" : "late"  // it was this page that slept
    } finally { clearTimeout(limit) }
  }
  // An answer tells of when it was requested: it may have been long on its way from a server that has stopped since.
  const receive = (since = performance.now()) => {
    const seconds = Math.round((Date.now() - lastWord) / 1000)
    received = Math.max(received, since)
    lastWord = Date.now() - (performance.now() - received)
    if (shown !== "silent") { return }
    if (news) {
      show("back", news)
    } else if (seconds < WORTH_SAYING) {
      hide()
    } else {
      show("back", `The server answers again, after ${seconds} s. What you pressed meanwhile takes effect now.`)
      hiding = setTimeout(hide, READ)
    }
  }

  const look = async () => {
    const now = performance.now(), slept = now - beat > 1000
    beat = now
    if (gone || leaving) { return }
    if (slept || document.hidden) { received = Math.max(received, now - QUIET); if (document.hidden) { return } }
    if (requesting || now - received < QUIET) { return }
    requesting = true
    const answer = await answers(shown ? LONG : PATIENCE)
    requesting = false
    if (gone || leaving || document.hidden) { return }
    if (answer === "yes") { return receive(now) }
    if (answer === "perhaps" || performance.now() - received < QUIET) { return }
    const seconds = Math.max(1, Math.round((Date.now() - lastWord) / 1000))
    const since = `What you see is from ${time(lastWord)}.`
    show("silent", answer === "no" ?
      `The server cannot be reached${navigator.onLine ? "" : ": this device is offline"}. ${since}` :
      `The server has not answered for ${seconds} s: it is busy, or stopped. ${since} ` +
      "What you press takes effect when it answers.")
  }

  const lose = () => {
    if (gone || leaving) { return }
    gone = true
    show("gone", `The server is gone. What you see is from ${time(lastWord)}, and nothing here has an effect. ` +
      "This page comes back by itself when the server does.")
    setTimeout(wait, BEAT)
  }
  const wait = async () => {
    if (leaving) { return }
    if (await answers(LONG) !== "yes") { return setTimeout(wait, 600) }
    const address = new URL(location.href), at = epoch()
    const again = at && at <= FARTHEST && !WITHOUT_A_RUN.some((name) => address.searchParams.has(name)) ? at : 0
    sessionStorage.setItem(NOTE, JSON.stringify({server: model.server, again, page: address.search}))
    if (!again) { return location.reload() }
    address.searchParams.set("epoch", again)
    location.replace(address)
  }

  const report = () => {
    const note = JSON.parse(sessionStorage.getItem(NOTE) ?? "null")
    sessionStorage.removeItem(NOTE)
    if (!note) { return }
    const why = note.server === model.server ?
      "The connection to the server was lost, and with it what it had kept for this page." :
      "The server was restarted."
    const asRun = !WITHOUT_A_RUN.some((name) => new URLSearchParams(note.page).has(name))
    const what = !asRun ? "The page is loaded anew." : note.again ?
      `The run is trained again up to epoch ${note.again.toLocaleString("en")}, with the same settings.` :
      "The run starts again from epoch 0, with the same settings."
    news = `${why} ${what}`
    show("back", news)
  }

  const watched = Bokeh.documents.slice()
  const change = (event) => { if (event.sync === false) { receive() } }
  watched.forEach((one) => { one.on_change(change); one.on_event("connection_lost", lose) })
  const leave = () => { leaving = true }
  const comeBack = (event) => { leaving = false; if (event.persisted) { location.reload() } }
  addEventListener("pagehide", leave)
  addEventListener("pageshow", comeBack)
  document.addEventListener("visibilitychange", () => { received = performance.now() })
  timer = setInterval(look, BEAT)
  report()
  model.on("remove", () => {
    clearInterval(timer)
    removeEventListener("pagehide", leave)
    removeEventListener("pageshow", comeBack)
    hide()
  })
}
