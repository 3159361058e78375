// The widgets' icons, a font given as base64.
(font) => {
  document.fonts.add(new FontFace("Material Icons", `url(data:font/woff2;base64,${font})`))
}
