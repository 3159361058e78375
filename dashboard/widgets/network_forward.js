// The forward pass of a network over many points at once, as engine/network.py computes it.

const polynomial = (coefficients, x) => coefficients.reduce((value, c) => value * x + c)

// Cody 1969, "Rational Chebyshev approximations for the error function", tables 2 to 4, highest power first.
const CENTER = [
  [0.18577770618460315, 3.1611237438705655, 113.86415415105016, 377.485237685302, 3209.3775891384694],
  [1, 23.601290952344122, 244.02463793444417, 1282.6165260773723, 2844.236833439171],
]
const MIDDLE = [
  [2.1531153547440383e-08, 0.5641884969886701, 8.883149794388377, 66.11919063714163, 298.6351381974001,
    881.952221241769, 1712.0476126340707, 2051.0783778260716, 1230.3393547979972],
  [1, 15.744926110709835, 117.6939508913125, 537.1811018620099, 1621.3895745666903,
    3290.7992357334597, 4362.619090143247, 3439.3676741437216, 1230.3393548037495],
]
const TAIL = [
  [0.016315387137302097, 0.30532663496123236, 0.36034489994980445, 0.12578172611122926,
    0.016083785148742275, 0.0006587491615298378],
  [1, 2.568520192289822, 1.8729528499234673, 0.5279051029514285, 0.06051834131244132, 0.0023352049762686918],
]
const ratio = ([above, below], x) => polynomial(above, x) / polynomial(below, x)

// 1 - erf(y) for y >= 0.46875.
const erfc_right = (y) => {
  const t = 1 / (y * y)
  const scaled = y > 4 ? (1 / Math.sqrt(Math.PI) - t * ratio(TAIL, t)) / y : ratio(MIDDLE, y)
  return Math.exp(-y * y) * scaled
}

const erf = (x) => {
  const y = Math.abs(x)
  return y < 0.46875 ? x * ratio(CENTER, x * x) : Math.sign(x) * (1 - erfc_right(Math.min(y, 30)))
}

const normal_cdf = (z) => {
  const x = z / Math.SQRT2, y = Math.abs(x)
  if (y < 0.46875) { return (1 + x * ratio(CENTER, x * x)) / 2 }
  const tail = erfc_right(Math.min(y, 30)) / 2
  return x > 0 ? 1 - tail : tail
}

// Every activation of engine/activations.py, by its name.
export const ACTIVATIONS = {
  "sigmoid": (z) => 1 / (1 + Math.exp(-z)),
  "tanh": Math.tanh,
  "relu": (z) => z > 0 ? z : 0,
  "leaky relu": (z) => z > 0 ? z : 0.01 * z,
  "elu": (z) => z > 0 ? z : Math.expm1(z),
  "gelu": (z) => z * normal_cdf(z),
  "silu": (z) => z / (1 + Math.exp(-z)),
  "softplus": (z) => Math.max(z, 0) + Math.log1p(Math.exp(-Math.abs(z))),
  "sine": Math.sin,
  "linear": (z) => z,
  "square": (z) => z * z,
  "erf": erf,
}

const softmax = (units) => {
  for (let p = 0; p < units[0].length; p++) {
    let most = -Infinity, sum = 0
    for (const unit of units) { most = Math.max(most, unit[p]) }
    for (const unit of units) { sum += unit[p] = Math.exp(unit[p] - most) }
    for (const unit of units) { unit[p] /= sum }
  }
}

// Every output of engine/losses.py: what it makes of the weighted sums of the last layer, in place.
export const OUTPUTS = {
  "sigmoid": (units) => { for (const unit of units) { unit.forEach((z, p) => { unit[p] = ACTIVATIONS.sigmoid(z) }) } },
  "softmax": softmax,
  "linear": () => {},
}

// Every feature of engine/features.py: what an input is given of a point of the plane.
export const FEATURES = {
  "x1": (x1) => x1,
  "x2": (_, x2) => x2,
  "x1^2": (x1) => x1 * x1,
  "x2^2": (_, x2) => x2 * x2,
  "x1 x2": (x1, x2) => x1 * x2,
  "sin x1": (x1) => Math.sin(x1),
  "sin x2": (_, x2) => Math.sin(x2),
}

// Where the weights of a layer begin in the flat parameters; those to its j-th unit are `sizes[layer]` apart.
export const start_of = (sizes, layer) => {
  let start = 0
  for (let l = 1; l < layer; l++) { start += (sizes[l - 1] + 1) * sizes[l] }
  return start
}
export const weight_at = (sizes, layer, i, j) => start_of(sizes, layer) + i * sizes[layer] + j
export const bias_at = (sizes, layer, j) => weight_at(sizes, layer, sizes[layer - 1], j)

// What every unit answers at some points: `units[layer][unit][point]`, layer 0 being the inputs.
export class Answers {
  constructor({sizes, activations, skips, output}, inputs) {
    Object.assign(this, {sizes, activations, skips, output})
    const points = inputs[0].length
    this.units = sizes.map((size, layer) =>
      layer ? Array.from({length: size}, () => new Float64Array(points)) : inputs)
  }

  compute(parameters) {
    const {sizes, units} = this, last = sizes.length - 1
    let at = 0
    for (let layer = 1; layer <= last; layer++) {
      const below = units[layer - 1], fan_out = sizes[layer], biases = at + below.length * fan_out
      units[layer].forEach((unit, j) => {
        unit.fill(parameters[biases + j])
        below.forEach((x, i) => {
          const w = parameters[at + i * fan_out + j]
          for (let p = 0; p < unit.length; p++) { unit[p] += w * x[p] }
        })
        if (layer === last) { return }
        const activation = ACTIVATIONS[this.activations[layer - 1]], skipped = this.skips[layer - 1] ? below[j] : null
        for (let p = 0; p < unit.length; p++) { unit[p] = activation(unit[p]) + (skipped ? skipped[p] : 0) }
      })
      at = biases + fan_out
    }
    OUTPUTS[this.output](units[last])
    return this
  }
}
